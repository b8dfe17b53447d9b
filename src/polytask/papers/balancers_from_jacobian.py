"""Papers of the balancers that look at single tensors or coordinates of the gradients, and of such optimisers."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "chen2018": """@inproceedings{chen2018,
  author    = {Chen, Zhao and Badrinarayanan, Vijay and Lee, Chen-Yu and Rabinovich, Andrew},
  title     = {{GradNorm}: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks},
  booktitle = {International Conference on Machine Learning},
  series    = {Proceedings of Machine Learning Research},
  volume    = {80},
  year      = {2018},
  eprint    = {1711.02257}
}""",
    "chen2020": """@inproceedings{chen2020,
  author    = {Chen, Zhao and Ngiam, Jiquan and Huang, Yanping and Luong, Thang and Kretzschmar, Henrik and
               Chai, Yuning and Anguelov, Dragomir},
  title     = {Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {33},
  year      = {2020},
  eprint    = {2010.06808}
}""",
    "fernando2023": """@inproceedings{fernando2023,
  author    = {Fernando, Heshan Devaka and Shen, Han and Liu, Miao and Chaudhury, Subhajit and
               Murugesan, Keerthiram and Chen, Tianyi},
  title     = {Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent Approach},
  booktitle = {International Conference on Learning Representations},
  year      = {2023},
  eprint    = {2210.12624}
}""",
    "he2022": """@inproceedings{he2022,
  author    = {He, Yun and Feng, Xue and Cheng, Cheng and Ji, Geng and Guo, Yunsong and Caverlee, James},
  title     = {{MetaBalance}: Improving Multi-Task Recommendations via Adapting Gradient Magnitudes of Auxiliary
               Tasks},
  booktitle = {The ACM Web Conference},
  year      = {2022},
  eprint    = {2203.06801}
}""",
    "he2024": """@inproceedings{he2024,
  author    = {He, Yifei and Zhou, Shiji and Zhang, Guojun and Yun, Hyokun and Xu, Yi and Zeng, Belinda and
               Chilimbi, Trishul and Zhao, Han},
  title     = {Robust Multi-Task Learning with Excess Risks},
  booktitle = {International Conference on Machine Learning},
  series    = {Proceedings of Machine Learning Research},
  volume    = {235},
  year      = {2024},
  eprint    = {2402.02009}
}""",
    "lin2023": """@article{lin2023,
  author  = {Lin, Baijiong and Jiang, Weisen and Ye, Feiyang and Zhang, Yu and Chen, Pengguang and
             Chen, Ying-Cong and Liu, Shu and Tsang, Ivor W. and Kwok, James T.},
  title   = {Dual-Balancing for Multi-Task Learning},
  journal = {arXiv preprint arXiv:2308.12029},
  year    = {2023},
  eprint  = {2308.12029}
}""",
    "yang2023": """@inproceedings{yang2023,
  author    = {Yang, Enneng and Pan, Junwei and Wang, Ximei and Yu, Haibin and Shen, Li and Chen, Xihua and
               Xiao, Lei and Jiang, Jie and Guo, Guibing},
  title     = {{AdaTask}: A Task-aware Adaptive Learning Rate Approach to Multi-task Learning},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2023},
  eprint    = {2211.15055}
}""",
}
