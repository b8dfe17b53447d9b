"""Papers of sharing between tasks in order or apart, of what their heads tell each other, and of regularizers."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "hashimoto2017": """@inproceedings{hashimoto2017,
  author    = {Hashimoto, Kazuma and Xiong, Caiming and Tsuruoka, Yoshimasa and Socher, Richard},
  title     = {A Joint Many-Task Model: Growing a Neural Network for Multiple {NLP} Tasks},
  booktitle = {Proceedings of the 2017 Conference on Empirical Methods in Natural Language Processing},
  pages     = {1923--1933},
  year      = {2017},
  doi       = {10.18653/v1/D17-1206},
  eprint    = {1611.01587}
}""",
    "lin1991": """@article{lin1991,
  author  = {Lin, Jianhua},
  title   = {Divergence Measures Based on the {Shannon} Entropy},
  journal = {IEEE Transactions on Information Theory},
  volume  = {37},
  number  = {1},
  pages   = {145--151},
  year    = {1991},
  doi     = {10.1109/18.61115}
}""",
    "liup2017": """@inproceedings{liup2017,
  author    = {Liu, Pengfei and Qiu, Xipeng and Huang, Xuanjing},
  title     = {Adversarial Multi-task Learning for Text Classification},
  booktitle = {Proceedings of the 55th Annual Meeting of the Association for Computational Linguistics},
  pages     = {1--10},
  year      = {2017},
  eprint    = {1704.05742}
}""",
    "longm2017": """@inproceedings{longm2017,
  author    = {Long, Mingsheng and Cao, Zhangjie and Wang, Jianmin and Yu, Philip S.},
  title     = {Learning Multiple Tasks with Multilinear Relationship Networks},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {30},
  pages     = {1594--1603},
  year      = {2017},
  eprint    = {1506.02117}
}""",
    "xi2021": """@inproceedings{xi2021,
  author    = {Xi, Dongbo and Chen, Zhen and Yan, Peng and Zhang, Yinger and Zhu, Yongchun and
               Zhuang, Fuzhen and Chen, Yu},
  title     = {Modeling the Sequential Dependence among Audience Multi-step Conversions with Multi-task Learning
               in Targeted Display Advertising},
  booktitle = {Proceedings of the 27th ACM SIGKDD Conference on Knowledge Discovery and Data Mining},
  pages     = {3745--3755},
  year      = {2021},
  doi       = {10.1145/3447548.3467071},
  eprint    = {2105.08489}
}""",
    "xud2018": """@inproceedings{xud2018,
  author    = {Xu, Dan and Ouyang, Wanli and Wang, Xiaogang and Sebe, Nicu},
  title     = {{PAD-Net}: Multi-Tasks Guided Prediction-and-Distillation Network for Simultaneous Depth Estimation
               and Scene Parsing},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  pages     = {675--684},
  year      = {2018},
  eprint    = {1805.04409}
}""",
}
