"""Papers of what studies and splits compute."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "charte2015": """@article{charte2015,
  author  = {Charte, Francisco and Rivera, Antonio J. and del Jesus, Mar{\\'i}a J. and Herrera, Francisco},
  title   = {Addressing Imbalance in Multilabel Classification: Measures and Random Resampling Algorithms},
  journal = {Neurocomputing},
  volume  = {163},
  pages   = {3--16},
  year    = {2015},
  doi     = {10.1016/j.neucom.2014.08.091}
}""",
    "chawla2002": """@article{chawla2002,
  author        = {Chawla, Nitesh V. and Bowyer, Kevin W. and Hall, Lawrence O. and Kegelmeyer, W. Philip},
  title         = {{SMOTE}: Synthetic Minority Over-sampling Technique},
  journal       = {Journal of Artificial Intelligence Research},
  volume        = {16},
  pages         = {321--357},
  year          = {2002},
  eprint        = {1106.1813},
  archivePrefix = {arXiv}
}""",
    "delong1988": """@article{delong1988,
  author  = {DeLong, Elizabeth R. and DeLong, David M. and Clarke-Pearson, Daniel L.},
  title   = {Comparing the Areas Under Two or More Correlated Receiver Operating Characteristic Curves: A
             Nonparametric Approach},
  journal = {Biometrics},
  volume  = {44},
  number  = {3},
  pages   = {837--845},
  year    = {1988}
}""",
    "holm1979": """@article{holm1979,
  author  = {Holm, Sture},
  title   = {A Simple Sequentially Rejective Multiple Test Procedure},
  journal = {Scandinavian Journal of Statistics},
  volume  = {6},
  number  = {2},
  pages   = {65--70},
  year    = {1979}
}""",
    "howe1974": """@article{howe1974,
  author  = {Howe, William Gerrard},
  title   = {Approximate Confidence Limits on the Mean of {X} + {Y} Where {X} and {Y} Are Two Tabled Independent
             Random Variables},
  journal = {Journal of the American Statistical Association},
  volume  = {69},
  number  = {347},
  pages   = {789--794},
  year    = {1974}
}""",
    "nadeau2003": """@article{nadeau2003,
  author  = {Nadeau, Claude and Bengio, Yoshua},
  title   = {Inference for the Generalization Error},
  journal = {Machine Learning},
  volume  = {52},
  number  = {3},
  pages   = {239--281},
  year    = {2003}
}""",
    "sechidis2011": """@inproceedings{sechidis2011,
  author    = {Sechidis, Konstantinos and Tsoumakas, Grigorios and Vlahavas, Ioannis},
  title     = {On the Stratification of Multi-label Data},
  booktitle = {Machine Learning and Knowledge Discovery in Databases (ECML PKDD)},
  series    = {Lecture Notes in Computer Science},
  volume    = {6913},
  pages     = {145--158},
  year      = {2011},
  doi       = {10.1007/978-3-642-23808-6_10}
}""",
}
