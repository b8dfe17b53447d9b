"""Papers of sharing in which one trunk is conditioned on the task."""

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = {
    "chang2019": """@inproceedings{chang2019,
  author    = {Chang, Woong-Gi and You, Tackgeun and Seo, Seonguk and Kwak, Suha and Han, Bohyung},
  title     = {Domain-Specific Batch Normalization for Unsupervised Domain Adaptation},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2019},
  eprint    = {1906.03950}
}""",
    "houlsby2019": """@inproceedings{houlsby2019,
  author    = {Houlsby, Neil and Giurgiu, Andrei and Jastrzebski, Stanislaw and Morrone, Bruna and de Laroussilhe,
               Quentin and Gesmundo, Andrea and Attariyan, Mona and Gelly, Sylvain},
  title     = {Parameter-Efficient Transfer Learning for {NLP}},
  booktitle = {International Conference on Machine Learning},
  year      = {2019},
  eprint    = {1902.00751}
}""",
    "hu2022": """@inproceedings{hu2022,
  author    = {Hu, Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and Li, Yuanzhi and Wang, Shean
               and Wang, Lu and Chen, Weizhu},
  title     = {{LoRA}: Low-Rank Adaptation of Large Language Models},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
  eprint    = {2106.09685}
}""",
    "javaloy2022": """@inproceedings{javaloy2022,
  author    = {Javaloy, Adri{\\'a}n and Valera, Isabel},
  title     = {{RotoGrad}: Gradient Homogenization in Multitask Learning},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
  eprint    = {2103.02631}
}""",
    "liuqidong2024": """@inproceedings{liuqidong2024,
  author    = {Liu, Qidong and Wu, Xian and Zhao, Xiangyu and Zhu, Yuanshao and Xu, Derong and Tian, Feng and
               Zheng, Yefeng},
  title     = {When {MOE} Meets {LLMs}: Parameter Efficient Fine-tuning for Multi-task Medical Applications},
  booktitle = {International ACM SIGIR Conference on Research and Development in Information Retrieval},
  year      = {2024},
  eprint    = {2310.18339}
}""",
    "perez2018": """@inproceedings{perez2018,
  author    = {Perez, Ethan and Strub, Florian and de Vries, Harm and Dumoulin, Vincent and Courville, Aaron},
  title     = {{FiLM}: Visual Reasoning with a General Conditioning Layer},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2018},
  eprint    = {1709.07871}
}""",
    "rebuffi2017": """@inproceedings{rebuffi2017,
  author    = {Rebuffi, Sylvestre-Alvise and Bilen, Hakan and Vedaldi, Andrea},
  title     = {Learning Multiple Visual Domains with Residual Adapters},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {30},
  year      = {2017},
  eprint    = {1705.08045}
}""",
}
