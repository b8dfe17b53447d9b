"""Papers of the balancers that see gradients, and of what goes around any balancer."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "ban2024": """@inproceedings{ban2024,
  author    = {Ban, Hao and Ji, Kaiyi},
  title     = {Fair Resource Allocation in Multi-Task Learning},
  booktitle = {International Conference on Machine Learning},
  year      = {2024},
  eprint    = {2402.15638}
}""",
    "du2018": """@article{du2018,
  author  = {Du, Yunshu and Czarnecki, Wojciech M. and Jayakumar, Siddhant M. and Farajtabar, Mehrdad and
             Pascanu, Razvan and Lakshminarayanan, Balaji},
  title   = {Adapting Auxiliary Losses Using Gradient Similarity},
  journal = {arXiv preprint arXiv:1812.02224},
  year    = {2018},
  eprint  = {1812.02224}
}""",
    "liu2021": """@inproceedings{liu2021,
  author    = {Liu, Bo and Liu, Xingchao and Jin, Xiaojie and Stone, Peter and Liu, Qiang},
  title     = {Conflict-Averse Gradient Descent for Multi-task Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021},
  eprint    = {2110.14048}
}""",
    "liu2025": """@inproceedings{liu2025,
  author    = {Liu, Qiang and Chu, Mengyu and Thuerey, Nils},
  title     = {{ConFIG}: Towards Conflict-free Training of Physics Informed Neural Networks},
  booktitle = {International Conference on Learning Representations},
  year      = {2025},
  eprint    = {2408.11104}
}""",
    "liuliyang2021": """@inproceedings{liuliyang2021,
  author    = {Liu, Liyang and Li, Yi and Kuang, Zhanghui and Xue, Jing-Hao and Chen, Yimin and Yang, Wenming and
               Liao, Qingmin and Zhang, Wayne},
  title     = {Towards Impartial Multi-task Learning},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  url       = {https://openreview.net/forum?id=IMPnRXEWpvr}
}""",
    "lopezpaz2017": """@inproceedings{lopezpaz2017,
  author    = {Lopez-Paz, David and Ranzato, Marc'Aurelio},
  title     = {Gradient Episodic Memory for Continual Learning},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {30},
  year      = {2017},
  eprint    = {1706.08840}
}""",
    "mahapatra2020": """@inproceedings{mahapatra2020,
  author    = {Mahapatra, Debabrata and Rajan, Vaibhav},
  title     = {Multi-Task Learning with User Preferences: Gradient Descent with Controlled Ascent in {Pareto}
               Optimization},
  booktitle = {International Conference on Machine Learning},
  series    = {Proceedings of Machine Learning Research},
  volume    = {119},
  pages     = {6597--6607},
  year      = {2020},
  url       = {https://proceedings.mlr.press/v119/mahapatra20a.html}
}""",
    "navon2022": """@inproceedings{navon2022,
  author    = {Navon, Aviv and Shamsian, Aviv and Achituve, Idan and Maron, Haggai and Kawaguchi, Kenji and
               Chechik, Gal and Fetaya, Ethan},
  title     = {Multi-Task Learning as a Bargaining Game},
  booktitle = {International Conference on Machine Learning},
  series    = {Proceedings of Machine Learning Research},
  volume    = {162},
  year      = {2022},
  eprint    = {2202.01017}
}""",
    "quinton2024": """@article{quinton2024,
  author  = {Quinton, Pierre and Rey, Val{\\'e}rian},
  title   = {Jacobian Descent for Multi-Objective Optimization},
  journal = {arXiv preprint arXiv:2406.16232},
  year    = {2024},
  eprint  = {2406.16232}
}""",
    "sener2018": """@inproceedings{sener2018,
  author    = {Sener, Ozan and Koltun, Vladlen},
  title     = {Multi-Task Learning as Multi-Objective Optimization},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {31},
  year      = {2018},
  eprint    = {1810.04650}
}""",
    "senushkin2023": """@inproceedings{senushkin2023,
  author    = {Senushkin, Dmitry and Patakin, Nikolay and Kuznetsov, Arseny and Konushin, Anton},
  title     = {Independent Component Alignment for Multi-Task Learning},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2023},
  eprint    = {2305.19000}
}""",
    "wang2021": """@inproceedings{wang2021,
  author    = {Wang, Zirui and Tsvetkov, Yulia and Firat, Orhan and Cao, Yuan},
  title     = {Gradient Vaccine: Investigating and Improving Multi-task Optimization in Massively Multilingual
               Models},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2010.05874}
}""",
    "xiao2023": """@inproceedings{xiao2023,
  author    = {Xiao, Peiyao and Ban, Hao and Ji, Kaiyi},
  title     = {Direction-oriented Multi-objective Learning: Simple and Provable Stochastic Algorithms},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {36},
  year      = {2023},
  eprint    = {2305.18409}
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
    "zhou2022": """@inproceedings{zhou2022,
  author    = {Zhou, Shiji and Zhang, Wenpeng and Jiang, Jiyan and Zhong, Wenliang and Gu, Jinjie and Zhu, Wenwu},
  title     = {On the Convergence of Stochastic Multi-Objective Gradient Manipulation and Beyond},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {35},
  year      = {2022},
  url       = {https://proceedings.neurips.cc/paper/2022/hash/f91bd64a3620aad8e70a27ad9cb3ca57-Abstract-Conference.html}
}""",
}
