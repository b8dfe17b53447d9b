"""Who published what: BibTeX of every paper that something in polytask comes from.

A class names its paper by key (`paper = "yu2020"`); a Run writes the entries of all that it used.
"""

from collections.abc import Iterable

from polytask.errors import nearest

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "cao2020": """@article{cao2020,
  author  = {Cao, Wenzhi and Mirjalili, Vahid and Raschka, Sebastian},
  title   = {Rank consistent ordinal regression for neural networks with application to age estimation},
  journal = {Pattern Recognition Letters},
  volume  = {140},
  pages   = {325--331},
  year    = {2020},
  eprint  = {1901.07884}
}""",
    "caruana1997": """@article{caruana1997,
  author  = {Caruana, Rich},
  title   = {Multitask Learning},
  journal = {Machine Learning},
  volume  = {28},
  number  = {1},
  pages   = {41--75},
  year    = {1997},
  doi     = {10.1023/A:1007379606734}
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
    "gorishniy2021": """@inproceedings{gorishniy2021,
  author    = {Gorishniy, Yury and Rubachev, Ivan and Khrulkov, Valentin and Babenko, Artem},
  title     = {Revisiting Deep Learning Models for Tabular Data},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021},
  eprint    = {2106.11959}
}""",
    "gorishniy2022": """@inproceedings{gorishniy2022,
  author    = {Gorishniy, Yury and Rubachev, Ivan and Babenko, Artem},
  title     = {On Embeddings for Numerical Features in Tabular Deep Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {35},
  year      = {2022},
  eprint    = {2203.05556}
}""",
    "hadsell2006": """@inproceedings{hadsell2006,
  author    = {Hadsell, Raia and Chopra, Sumit and LeCun, Yann},
  title     = {Dimensionality Reduction by Learning an Invariant Mapping},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {1735--1742},
  year      = {2006},
  doi       = {10.1109/CVPR.2006.100}
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
    "holzmuller2024": """@inproceedings{holzmuller2024,
  author    = {Holzm{\\"u}ller, David and Grinsztajn, L{\\'e}o and Steinwart, Ingo},
  title     = {Better by Default: Strong Pre-Tuned {MLPs} and Boosted Trees on Tabular Data},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {37},
  year      = {2024},
  eprint    = {2407.04491}
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
    "kendall2018": """@inproceedings{kendall2018,
  author    = {Kendall, Alex and Gal, Yarin and Cipolla, Roberto},
  title     = {Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {7482--7491},
  year      = {2018},
  eprint    = {1705.07115}
}""",
    "kingma2015": """@inproceedings{kingma2015,
  author    = {Kingma, Diederik P. and Ba, Jimmy},
  title     = {Adam: A Method for Stochastic Optimization},
  booktitle = {International Conference on Learning Representations},
  year      = {2015},
  eprint    = {1412.6980}
}""",
    "lecun1998": """@article{lecun1998,
  author  = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title   = {Gradient-Based Learning Applied to Document Recognition},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  number  = {11},
  pages   = {2278--2324},
  year    = {1998},
  doi     = {10.1109/5.726791}
}""",
    "liu2019": """@inproceedings{liu2019,
  author    = {Liu, Shikun and Johns, Edward and Davison, Andrew J.},
  title     = {End-to-End Multi-Task Learning with Attention},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages     = {1871--1880},
  year      = {2019},
  eprint    = {1803.10704}
}""",
    "liu2021": """@inproceedings{liu2021,
  author    = {Liu, Bo and Liu, Xingchao and Jin, Xiaojie and Stone, Peter and Liu, Qiang},
  title     = {Conflict-Averse Gradient Descent for Multi-task Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021},
  eprint    = {2110.14048}
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
    "yu2020": """@inproceedings{yu2020,
  author    = {Yu, Tianhe and Kumar, Saurabh and Gupta, Abhishek and Levine, Sergey and Hausman, Karol and
               Finn, Chelsea},
  title     = {Gradient Surgery for Multi-Task Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {33},
  year      = {2020},
  eprint    = {2001.06782}
}""",
}


def bibtex(keys: Iterable[str]) -> str:
    """The BibTeX entries of these papers, each once, in the order they are first named.

    Raises:
        ValueError: a key that is not in `PAPERS`; names the nearest.

    Example:
        >>> print(bibtex(["caruana1997"]).splitlines()[0])
        @article{caruana1997,
    """
    entries: dict[str, str] = {}
    for key in keys:
        if key not in PAPERS:
            raise ValueError(f"unknown paper {key!r}; {nearest(key, PAPERS)}")
        entries[key] = PAPERS[key]
    return "".join(entry + "\n" for entry in entries.values())
