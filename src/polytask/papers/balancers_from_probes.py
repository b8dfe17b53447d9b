"""Papers of the balancers that look at losses after the step or ahead of it."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "liubo2023": """@inproceedings{liubo2023,
  author    = {Liu, Bo and Feng, Yihao and Stone, Peter and Liu, Qiang},
  title     = {{FAMO}: Fast Adaptive Multitask Optimization},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {36},
  year      = {2023},
  eprint    = {2306.03792}
}""",
    "liushikun2022": """@article{liushikun2022,
  author  = {Liu, Shikun and James, Stephen and Davison, Andrew J. and Johns, Edward},
  title   = {{Auto-Lambda}: Disentangling Dynamic Task Relationships},
  journal = {Transactions on Machine Learning Research},
  year    = {2022},
  eprint  = {2202.03091}
}""",
}
