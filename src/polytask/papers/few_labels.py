"""Papers of learning from rows without labels."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "lee2013": """@inproceedings{lee2013,
  author    = {Lee, Dong-Hyun},
  title     = {Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks},
  booktitle = {ICML Workshop on Challenges in Representation Learning},
  year      = {2013}
}""",
    "tarvainen2017": """@inproceedings{tarvainen2017,
  author    = {Tarvainen, Antti and Valpola, Harri},
  title     = {Mean Teachers are Better Role Models: Weight-Averaged Consistency Targets Improve Semi-Supervised
               Deep Learning Results},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {30},
  year      = {2017},
  eprint    = {1703.01780}
}""",
}
