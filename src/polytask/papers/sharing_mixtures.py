"""Papers of sharing schemes that mix experts."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "hazimeh2021": """@inproceedings{hazimeh2021,
  author    = {Hazimeh, Hussein and Zhao, Zhe and Chowdhery, Aakanksha and Sathiamoorthy, Maheswaran
               and Chen, Yihua and Mazumder, Rahul and Hong, Lichan and Chi, Ed H.},
  title     = {{DSelect-k}: Differentiable Selection in the Mixture of Experts
               with Applications to Multi-Task Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021},
  eprint    = {2106.03760}
}""",
    "ma2018": """@inproceedings{ma2018,
  author    = {Ma, Jiaqi and Zhao, Zhe and Yi, Xinyang and Chen, Jilin and Hong, Lichan and Chi, Ed H.},
  title     = {Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts},
  booktitle = {ACM SIGKDD International Conference on Knowledge Discovery and Data Mining},
  pages     = {1930--1939},
  year      = {2018},
  doi       = {10.1145/3219819.3220007}
}""",
    "shazeer2017": """@inproceedings{shazeer2017,
  author    = {Shazeer, Noam and Mirhoseini, Azalia and Maziarz, Krzysztof and Davis, Andy
               and Le, Quoc and Hinton, Geoffrey and Dean, Jeff},
  title     = {Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  eprint    = {1701.06538}
}""",
    "tang2020": """@inproceedings{tang2020,
  author    = {Tang, Hongyan and Liu, Junning and Zhao, Ming and Gong, Xudong},
  title     = {Progressive Layered Extraction ({PLE}): A Novel Multi-Task Learning ({MTL}) Model
               for Personalized Recommendations},
  booktitle = {ACM Conference on Recommender Systems},
  pages     = {269--278},
  year      = {2020},
  doi       = {10.1145/3383313.3412236}
}""",
}
