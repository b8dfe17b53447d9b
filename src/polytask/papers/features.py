"""Papers of the features of text, pictures, recordings and videos."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "chaudhry2009": """@inproceedings{chaudhry2009,
  author    = {Chaudhry, Rizwan and Ravichandran, Avinash and Hager, Gregory and Vidal, Ren{\\'e}},
  title     = {Histograms of Oriented Optical Flow and {Binet-Cauchy} Kernels on Nonlinear Dynamical Systems for the
               Recognition of Human Actions},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {1932--1939},
  year      = {2009}
}""",
    "dalal2005": """@inproceedings{dalal2005,
  author    = {Dalal, Navneet and Triggs, Bill},
  title     = {Histograms of Oriented Gradients for Human Detection},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {886--893},
  year      = {2005}
}""",
    "davis1980": """@article{davis1980,
  author  = {Davis, Steven and Mermelstein, Paul},
  title   = {Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously Spoken
             Sentences},
  journal = {IEEE Transactions on Acoustics, Speech, and Signal Processing},
  volume  = {28},
  number  = {4},
  pages   = {357--366},
  year    = {1980}
}""",
    "pennington2014": """@inproceedings{pennington2014,
  author    = {Pennington, Jeffrey and Socher, Richard and Manning, Christopher},
  title     = {{GloVe}: Global Vectors for Word Representation},
  booktitle = {Conference on Empirical Methods in Natural Language Processing},
  pages     = {1532--1543},
  year      = {2014}
}""",
    "reimers2019": """@inproceedings{reimers2019,
  author    = {Reimers, Nils and Gurevych, Iryna},
  title     = {{Sentence-BERT}: Sentence Embeddings using {Siamese} {BERT}-Networks},
  booktitle = {Conference on Empirical Methods in Natural Language Processing},
  year      = {2019},
  eprint    = {1908.10084}
}""",
    "salton1988": """@article{salton1988,
  author  = {Salton, Gerard and Buckley, Christopher},
  title   = {Term-Weighting Approaches in Automatic Text Retrieval},
  journal = {Information Processing and Management},
  volume  = {24},
  number  = {5},
  pages   = {513--523},
  year    = {1988}
}""",
    "stevens1937": """@article{stevens1937,
  author  = {Stevens, Stanley Smith and Volkmann, John and Newman, Edwin B.},
  title   = {A Scale for the Measurement of the Psychological Magnitude Pitch},
  journal = {Journal of the Acoustical Society of America},
  volume  = {8},
  number  = {3},
  pages   = {185--190},
  year    = {1937}
}""",
    "swain1991": """@article{swain1991,
  author  = {Swain, Michael J. and Ballard, Dana H.},
  title   = {Color Indexing},
  journal = {International Journal of Computer Vision},
  volume  = {7},
  number  = {1},
  pages   = {11--32},
  year    = {1991}
}""",
    "weinberger2009": """@inproceedings{weinberger2009,
  author    = {Weinberger, Kilian and Dasgupta, Anirban and Langford, John and Smola, Alex and Attenberg, Josh},
  title     = {Feature Hashing for Large Scale Multitask Learning},
  booktitle = {International Conference on Machine Learning},
  pages     = {1113--1120},
  year      = {2009},
  eprint    = {0902.2206}
}""",
}
