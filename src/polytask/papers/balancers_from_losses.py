"""Papers of the balancers that see losses and validation skills."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "bowman1976": """@inproceedings{bowman1976,
  author    = {Bowman, V. Joseph},
  title     = {On the Relationship of the {Tchebycheff} Norm and the Efficient Frontier of Multiple-Criteria
               Objectives},
  booktitle = {Multiple Criteria Decision Making},
  series    = {Lecture Notes in Economics and Mathematical Systems},
  volume    = {130},
  pages     = {76--86},
  year      = {1976},
  doi       = {10.1007/978-3-642-87563-2_5}
}""",
    "chennupati2019": """@inproceedings{chennupati2019,
  author    = {Chennupati, Sumanth and Sistu, Ganesh and Yogamani, Senthil and Rawashdeh, Samir A.},
  title     = {{MultiNet++}: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task Learning},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition Workshops},
  year      = {2019},
  eprint    = {1904.08492}
}""",
    "groenendijk2021": """@inproceedings{groenendijk2021,
  author    = {Groenendijk, Rick and Karaoglu, Sezer and Gevers, Theo and Mensink, Thomas},
  title     = {Multi-Loss Weighting with Coefficient of Variations},
  booktitle = {IEEE/CVF Winter Conference on Applications of Computer Vision},
  pages     = {1469--1478},
  year      = {2021},
  eprint    = {2009.01717}
}""",
    "guo2018": """@inproceedings{guo2018,
  author    = {Guo, Michelle and Haque, Albert and Huang, De-An and Yeung, Serena and Fei-Fei, Li},
  title     = {Dynamic Task Prioritization for Multitask Learning},
  booktitle = {European Conference on Computer Vision},
  year      = {2018},
  doi       = {10.1007/978-3-030-01270-0_17}
}""",
    "kendall2018": """@inproceedings{kendall2018,
  author    = {Kendall, Alex and Gal, Yarin and Cipolla, Roberto},
  title     = {Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages     = {7482--7491},
  year      = {2018},
  eprint    = {1705.07115}
}""",
    "kirchdorfer2024": """@inproceedings{kirchdorfer2024,
  author    = {Kirchdorfer, Lukas and Elich, Cathrin and Kutsche, Simon and Stuckenschmidt, Heiner and
               Schott, Lukas and K{\\"o}hler, Jan M.},
  title     = {Analytical Uncertainty-Based Loss Weighting in Multi-Task Learning},
  booktitle = {German Conference on Pattern Recognition},
  year      = {2024},
  eprint    = {2408.07985}
}""",
    "lakkapragada2022": """@article{lakkapragada2022,
  author  = {Lakkapragada, Anish and Sleiman, Essam and Surabhi, Saimourya and Wall, Dennis P.},
  title   = {Mitigating Negative Transfer in Multi-Task Learning with Exponential Moving Average Loss Weighting
             Strategies},
  journal = {arXiv preprint},
  year    = {2022},
  eprint  = {2211.12999}
}""",
    "liebel2018": """@article{liebel2018,
  author  = {Liebel, Lukas and K{\\"o}rner, Marco},
  title   = {Auxiliary Tasks in Multi-task Learning},
  journal = {arXiv preprint},
  year    = {2018},
  eprint  = {1805.06334}
}""",
    "lin2022": """@article{lin2022,
  author  = {Lin, Baijiong and Ye, Feiyang and Zhang, Yu and Tsang, Ivor W.},
  title   = {Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning},
  journal = {Transactions on Machine Learning Research},
  year    = {2022},
  eprint  = {2111.10603}
}""",
    "lin2024": """@inproceedings{lin2024,
  author    = {Lin, Xi and Zhang, Xiaoyuan and Yang, Zhiyuan and Liu, Fei and Wang, Zhenkun and Zhang, Qingfu},
  title     = {Smooth {Tchebycheff} Scalarization for Multi-Objective Optimization},
  booktitle = {International Conference on Machine Learning},
  year      = {2024},
  eprint    = {2402.19078}
}""",
    "liu2019": """@inproceedings{liu2019,
  author    = {Liu, Shikun and Johns, Edward and Davison, Andrew J.},
  title     = {End-to-End Multi-Task Learning with Attention},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages     = {1871--1880},
  year      = {2019},
  eprint    = {1803.10704}
}""",
    "ruchte2021": """@inproceedings{ruchte2021,
  author    = {Ruchte, Michael and Grabocka, Josif},
  title     = {Scalable {Pareto} Front Approximation for Deep Multi-Objective Learning},
  booktitle = {IEEE International Conference on Data Mining},
  year      = {2021},
  eprint    = {2103.13392}
}""",
    "yun2023": """@inproceedings{yun2023,
  author    = {Yun, Hayoung and Cho, Hanjoo},
  title     = {Achievement-Based Training Progress Balancing for Multi-Task Learning},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year      = {2023},
  doi       = {10.1109/ICCV51070.2023.01553}
}""",
}
