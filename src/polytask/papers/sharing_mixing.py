"""Papers of sharing by chains a task, mixed or held together, by attention and by branches."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "duong2015": """@inproceedings{duong2015,
  author    = {Duong, Long and Cohn, Trevor and Bird, Steven and Cook, Paul},
  title     = {Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a Neural Network Parser},
  booktitle = {Annual Meeting of the Association for Computational Linguistics},
  pages     = {845--850},
  year      = {2015},
  doi       = {10.3115/v1/P15-2139}
}""",
    "gao2019": """@inproceedings{gao2019,
  author    = {Gao, Yuan and Ma, Jiayi and Zhao, Mingbo and Liu, Wei and Yuille, Alan L.},
  title     = {{NDDR-CNN}: Layerwise Feature Fusing in Multi-Task {CNNs} by Neural Discriminative
               Dimensionality Reduction},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages     = {3205--3214},
  year      = {2019},
  eprint    = {1801.08297}
}""",
    "misra2016": """@inproceedings{misra2016,
  author    = {Misra, Ishan and Shrivastava, Abhinav and Gupta, Abhinav and Hebert, Martial},
  title     = {Cross-stitch Networks for Multi-task Learning},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {3994--4003},
  year      = {2016},
  eprint    = {1604.03539}
}""",
    "vandenhende2020": """@inproceedings{vandenhende2020,
  author    = {Vandenhende, Simon and Georgoulis, Stamatios and De Brabandere, Bert and Van Gool, Luc},
  title     = {Branched Multi-Task Networks: Deciding What Layers To Share},
  booktitle = {British Machine Vision Conference},
  year      = {2020},
  eprint    = {1904.02920}
}""",
    "yang2017": """@inproceedings{yang2017,
  author    = {Yang, Yongxin and Hospedales, Timothy M.},
  title     = {Trace Norm Regularised Deep Multi-Task Learning},
  booktitle = {International Conference on Learning Representations, Workshop Track},
  year      = {2017},
  eprint    = {1606.04038}
}""",
}
