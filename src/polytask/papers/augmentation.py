"""Papers of augmentation: changed rows whose labels stay right."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "bowman2016": """@inproceedings{bowman2016,
  author    = {Bowman, Samuel R. and Vilnis, Luke and Vinyals, Oriol and Dai, Andrew M. and
               Jozefowicz, Rafal and Bengio, Samy},
  title     = {Generating Sentences from a Continuous Space},
  booktitle = {Conference on Computational Natural Language Learning (CoNLL)},
  year      = {2016},
  eprint    = {1511.06349}
}""",
    "lample2018": """@inproceedings{lample2018,
  author    = {Lample, Guillaume and Conneau, Alexis and Denoyer, Ludovic and Ranzato, Marc'Aurelio},
  title     = {Unsupervised Machine Translation Using Monolingual Corpora Only},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year      = {2018},
  eprint    = {1711.00043}
}""",
    "park2019": """@inproceedings{park2019,
  author    = {Park, Daniel S. and Chan, William and Zhang, Yu and Chiu, Chung-Cheng and Zoph, Barret and
               Cubuk, Ekin D. and Le, Quoc V.},
  title     = {{SpecAugment}: A Simple Data Augmentation Method for Automatic Speech Recognition},
  booktitle = {Interspeech},
  pages     = {2613--2617},
  year      = {2019},
  eprint    = {1904.08779}
}""",
    "szegedy2015": """@inproceedings{szegedy2015,
  author    = {Szegedy, Christian and Liu, Wei and Jia, Yangqing and Sermanet, Pierre and Reed, Scott and
               Anguelov, Dragomir and Erhan, Dumitru and Vanhoucke, Vincent and Rabinovich, Andrew},
  title     = {Going Deeper with Convolutions},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2015},
  eprint    = {1409.4842}
}""",
    "wei2019": """@inproceedings{wei2019,
  author    = {Wei, Jason and Zou, Kai},
  title     = {{EDA}: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks},
  booktitle = {Conference on Empirical Methods in Natural Language Processing (EMNLP)},
  year      = {2019},
  eprint    = {1901.11196}
}""",
    "yun2019": """@inproceedings{yun2019,
  author    = {Yun, Sangdoo and Han, Dongyoon and Oh, Seong Joon and Chun, Sanghyuk and Choe, Junsuk and
               Yoo, Youngjoon},
  title     = {{CutMix}: Regularization Strategy to Train Strong Classifiers with Localizable Features},
  booktitle = {IEEE/CVF International Conference on Computer Vision (ICCV)},
  year      = {2019},
  eprint    = {1905.04899}
}""",
    "zhang2018": """@inproceedings{zhang2018,
  author    = {Zhang, Hongyi and Cisse, Moustapha and Dauphin, Yann N. and Lopez-Paz, David},
  title     = {mixup: Beyond Empirical Risk Minimization},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year      = {2018},
  eprint    = {1710.09412}
}""",
    "zhong2020": """@inproceedings{zhong2020,
  author    = {Zhong, Zhun and Zheng, Liang and Kang, Guoliang and Li, Shaozi and Yang, Yi},
  title     = {Random Erasing Data Augmentation},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2020},
  eprint    = {1708.04896}
}""",
}
