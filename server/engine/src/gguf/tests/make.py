"""Makes the files of this folder: tiny random models as GGUF, each with a trained tokenizer, and what
Hugging Face's transformers and tokenizers answer for them, which `../tests.rs` compares with ours.

The files are written as llama.cpp's converter writes them: rows of queries and keys in another order
for `llama` and `smollm3`, one added to the norms of Gemma, frequencies of Llama 3 as factors. The
models that answer hold the weights as the gguf package reads them back out of the quantised blocks.

    pip install torch transformers tokenizers gguf
    python make.py
"""

import json
import math
import os
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import gguf
import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers
from transformers.tokenization_utils_base import generate_merges

torch.set_num_threads(1)
HERE = Path(__file__).parent
Q = gguf.GGMLQuantizationType
ROWS = (5, 17, 11)
NEW = 64
# A smaller gap between the two best tokens might be decided by the order of a sum.
MARGIN = 2e-4

CORPUS = [
    "People in many countries answer questions about family, work and religion.",
    "How important is friendship in your life? Very important, rather important, not important.",
    "it's what they've said: we'll see, I'm sure, you'd agree; DON'T SHOUT, he'd SAY 'twas fine",
    "In 1981 and 2022 the survey had 64 countries, 129000 people and 3.14159 pages a minute.",
    "def survey(x):\n    return x + 1\n\n\nprint(survey(41))\t# forty-two\r\n",
    "สวัสดีครับ คุณสบายดีไหม ครอบครัวสำคัญมาก",
    "Привет, как дела? Семья очень важна. Ça va très bien, merci. Äpfel und Öl.",
    "the the the of of of and and and in in in important important question question answer",
    "question  answer\n\nfamily   and\n    work;\n\n\n    1981 19811981 2022 20222022 12345 1234 123",
    "camelCaseWords XMLHttpRequest UPPERlower LOWERupper a/b //\n path/to/it ///\n\n 'S 'T 'LL we'Ll",
]
TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  two spaces before, two  between and two after  ",
    "three   and four    spaces",
    "tabs\tand\nlines\n\nand\r\nreturns \n \n\n\n",
    "1 22 333 4444 19811981 123456 20222022 3.14 ½ ² ١٢٣",
    "it's IT'S we'll WE'LL 'tis don’t 's",
    "สวัสดีครับ ผมมาจากเชียงใหม่",
    "emoji 😀👩‍👩‍👧 and 🇹🇭",
    "café cafe\u0301 Å A\u030a ﬁ",
    "Привет мир, 你好世界, こんにちは, العربية",
    "<|im_end|>mid<|im_start|> word <|eot_id|> <end_of_turn></s>[INST] x [/INST]<bos>",
    "<tool_call> {\"a\": 1}</tool_call>",
    "▁literal▁ <0x41> [PAD299] <unused7>",
    "\u0000\u0001 control \u200b\u00a0 end",
    "question  answer\n\nfamily important question about family and countries",
    "camelCaseWords XMLHttpRequest UPPERlower a/b //\n path/to/it ///\n\n",
]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(pattern):
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), whole])


def words():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


# Name of the pre-tokenizer in the file: how the models that carry it build theirs, whether a whole
# word in the vocabulary is taken without merging, and their normalizer.
BYTE_LEVEL = {
    "llama-bpe": (split(LLAMA), True, None),
    "smaug-bpe": (split(LLAMA), False, None),
    "qwen2": (split(QWEN), False, normalizers.NFC()),
    "deepseek-r1-qwen": (split(QWEN), False, None),
    "smollm": (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words()]),
        False,
        None,
    ),
    "tekken": (split(TEKKEN), True, None),
    "gpt-2": (words(), False, None),
}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
INSTRUCT = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}"
    "{{ eos_token }}{% else %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}"
)
TURNS = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# Special tokens with what the file says about them, and the chat template. A word in `plain` is an
# added token that isn't special.
MARKERS = {
    "headers": dict(
        special=["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>"]
        + ["<|end_header_id|>", "<|eot_id|>"],
        plain=[],
        named=dict(bos="<|begin_of_text|>", eos="<|eot_id|>"),
        template=HEADERS,
        add_bos=True,
    ),
    "chatml": dict(
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        plain=["<tool_call>", "</tool_call>"],
        named=dict(bos="<|endoftext|>", eos="<|im_end|>", pad="<|endoftext|>"),
        template=CHATML,
        add_bos=False,
    ),
}


class Vocabulary:
    """A tokenizer and the metadata that stand for it."""

    def __init__(self, tokenizer, model, pre, texts, kinds, scores, merges, named, template, **flags):
        self.tokenizer, self.model, self.pre = tokenizer, model, pre
        self.texts, self.kinds, self.scores, self.merges = texts, kinds, scores, merges
        self.named, self.template, self.flags = named, template, flags

    def write(self, writer):
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.texts)
        if self.scores is not None:
            writer.add_token_scores(self.scores)
        writer.add_token_types(self.kinds)
        if self.merges is not None:
            writer.add_token_merges(self.merges)
        ids = {text: number for number, text in enumerate(self.texts)}
        for name, text in self.named.items():
            getattr(writer, f"add_{name}_token_id")(ids[text])
        for name, flag in self.flags.items():
            writer.add_bool(f"tokenizer.ggml.{name}", flag)
        writer.add_chat_template(self.template)

    def answers(self):
        encode = lambda text, whole: self.tokenizer.encode(text, add_special_tokens=whole).ids
        return [[text, encode(text, False), encode(text, True)] for text in TEXTS]


def byte_level(pre, markers, size, spare):
    """A tokenizer like that of GPT-2, with `spare` rows that no token needs."""
    split_words, ignore_merges, normalizer = BYTE_LEVEL[pre]
    markers = MARKERS[markers]
    trained = Tokenizer(models.BPE())
    # Trained on whole lines, tokens cross the borders of words: a wrong split is seen at once.
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    added = markers["special"] + markers["plain"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(added) - spare, initial_alphabet=alphabet, show_progress=False
    )
    trained.train_from_iterator(CORPUS * 3, trainer)
    model = json.loads(trained.to_str())["model"]
    # Some words can't be merged from their parts, so that taking whole words makes a difference.
    spoken = {word for text in TEXTS for word, _ in split_words.pre_tokenize_str(text)}
    kept = [pair for pair in map(tuple, model["merges"]) if "".join(pair) not in spoken]
    trained = Tokenizer(models.BPE(model["vocab"], kept, ignore_merges=ignore_merges))
    if normalizer is not None:
        trained.normalizer = normalizer
    trained.pre_tokenizer = split_words
    trained.decoder = decoders.ByteLevel()
    trained.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in markers["special"]])
    trained.add_tokens([AddedToken(t, special=False, normalized=False) for t in markers["plain"]])
    ids = trained.get_vocab(with_added_tokens=True)
    texts = [f"[PAD{number}]" for number in range(size)]
    kinds = [gguf.TokenType.UNUSED] * size
    for text, number in ids.items():
        texts[number] = text
        kinds[number] = gguf.TokenType.NORMAL
        if text in markers["special"]:
            kinds[number] = gguf.TokenType.CONTROL
        elif text in markers["plain"]:
            kinds[number] = gguf.TokenType.USER_DEFINED
    bos = markers["named"]["bos"]
    if markers["add_bos"]:
        template = [bos, "$A"]
        trained.post_processor = processors.TemplateProcessing(
            single=template, pair=template + ["$B"], special_tokens=[(bos, ids[bos])]
        )
    merges = [" ".join(pair) for pair in kept]
    named, template = markers["named"], markers["template"]
    flags = dict(add_bos_token=markers["add_bos"])
    return Vocabulary(trained, "gpt2", pre, texts, kinds, None, merges, named, template, **flags)


def learned_pieces(count):
    """Words and word parts in the order in which they were learned, then single characters."""
    learner = Tokenizer(models.BPE())
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    digits = pre_tokenizers.Digits(individual_digits=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence([metaspace, digits])
    trainer = trainers.BpeTrainer(vocab_size=count, limit_alphabet=70, show_progress=False)
    lines = [part for line in CORPUS * 3 for part in line.split("\n")]
    learner.train_from_iterator(lines, trainer)
    order = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    pieces = [text for text, _ in order]
    return [t for t in pieces if len(t) > 1] + [t for t in pieces if len(t) == 1]


def sentence_pieces(gemma, size):
    """A tokenizer like that of Llama 2, or of Gemma."""
    kinds, texts, scores = [], [], []

    def put(text, kind, score):
        texts.append(text), kinds.append(kind), scores.append(score)

    kind = gguf.TokenType
    if gemma:
        for text in ["<pad>", "<eos>", "<bos>"]:
            put(text, kind.CONTROL, 0.0)
        put("<unk>", kind.UNKNOWN, 0.0)
        for text in ["<start_of_turn>", "<end_of_turn>"]:
            put(text, kind.CONTROL, 0.0)
        plain = ["\n\n", "\n\n\n", "▁▁", "▁▁▁", "<unused7>"]
        for text in plain:
            put(text, kind.USER_DEFINED, 0.0)
    else:
        put("<unk>", kind.UNKNOWN, 0.0)
        for text in ["<s>", "</s>", "[INST]", "[/INST]"]:
            put(text, kind.CONTROL, 0.0)
        plain = []
    for byte in range(256):
        put(f"<0x{byte:02X}>", kind.BYTE, 0.0)
    for rank, text in enumerate(learned_pieces(size - len(texts))):
        put(text, kind.NORMAL, float(-rank))
    ids = {text: number for number, text in enumerate(texts)}
    normal = {t: n for t, n in ids.items() if kinds[n] in (kind.NORMAL, kind.USER_DEFINED)}
    merges = generate_merges(normal, {text: scores[number] for text, number in normal.items()})
    original = Tokenizer(
        models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    spaces = normalizers.Replace(" ", "▁")
    original.normalizer = spaces if gemma else normalizers.Sequence([normalizers.Prepend("▁"), spaces])
    decoder = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    original.decoder = decoders.Sequence(decoder + ([] if gemma else [decoders.Strip(" ", 1, 0)]))
    special = [t for t, k in zip(texts, kinds) if k in (kind.CONTROL, kind.UNKNOWN)]
    original.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    original.add_tokens([AddedToken(t, special=False, normalized=False) for t in plain])
    bos = "<bos>" if gemma else "<s>"
    template = [bos, "$A"]
    original.post_processor = processors.TemplateProcessing(
        single=template, pair=template + ["$B"], special_tokens=[(bos, ids[bos])]
    )
    named = dict(bos="<s>", eos="</s>", unk="<unk>")
    if gemma:
        named = dict(bos="<bos>", eos="<eos>", unk="<unk>", pad="<pad>")
        # The converter turns the spaces of such tokens back and gives them a score of its own.
        for number, text in enumerate(texts):
            if kinds[number] == kind.USER_DEFINED:
                texts[number], scores[number] = text.replace("▁", " "), -1000.0
    chat = TURNS if gemma else INSTRUCT
    flags = dict(add_bos_token=True, add_eos_token=False)
    if gemma:
        flags["add_space_prefix"] = False
    return Vocabulary(original, "llama", "default", texts, kinds, scores, None, named, chat, **flags)


VOCAB = 300
SIZES = dict(
    hidden_size=64,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=128,
    attn_implementation="eager",
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
GEMMA3 = dict(
    full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
    sliding_attention=dict(rope_type="default", rope_theta=1e4),
)
# Family, architecture in the file, changes to the sizes, type of the matrices, tokenizer.
CASES = {
    "llama-3": (
        "Llama",
        "llama",
        dict(tie_word_embeddings=True, rope_parameters=LLAMA3),
        Q.Q8_0,
        lambda: byte_level("llama-bpe", "headers", VOCAB, 2),
    ),
    "mistral": (
        "Mistral",
        "llama",
        dict(sliding_window=None),
        Q.F16,
        lambda: sentence_pieces(False, 400),
    ),
    "qwen2": (
        "Qwen2",
        "qwen2",
        dict(tie_word_embeddings=True, intermediate_size=32),
        Q.F32,
        lambda: byte_level("qwen2", "chatml", VOCAB, 3),
    ),
    "qwen3": (
        "Qwen3",
        "qwen3",
        dict(rope_parameters=dict(rope_type="default", rope_theta=1e6)),
        Q.Q8_0,
        lambda: byte_level("qwen2", "chatml", VOCAB, 0),
    ),
    "smollm3": (
        "SmolLM3",
        "smollm3",
        dict(num_hidden_layers=4, intermediate_size=32, attention_bias=True, mlp_bias=True),
        Q.Q8_0,
        lambda: byte_level("smaug-bpe", "headers", VOCAB, 0),
    ),
    "gemma2": (
        "Gemma2",
        "gemma2",
        dict(
            sliding_window=7,
            query_pre_attn_scalar=8,
            attn_logit_softcapping=5.0,
            final_logit_softcapping=9.0,
        ),
        Q.BF16,
        lambda: sentence_pieces(True, 400),
    ),
    "gemma3": (
        "Gemma3",
        "gemma3",
        dict(
            num_hidden_layers=6,
            intermediate_size=32,
            sliding_window=7,
            query_pre_attn_scalar=8,
            rope_parameters=GEMMA3,
        ),
        Q.Q8_0,
        lambda: sentence_pieces(True, 400),
    ),
    "llama-k": (
        "Llama",
        "llama",
        dict(
            hidden_size=256,
            intermediate_size=256,
            num_hidden_layers=1,
            head_dim=16,
            tie_word_embeddings=True,
        ),
        None,
        lambda: byte_level("smollm", "chatml", VOCAB, 0),
    ),
}
# Types of the matrices of the file with blocks of 256.
MIXED = {
    "embed_tokens": Q.Q6_K,
    "q_proj": Q.Q4_K,
    "k_proj": Q.Q6_K,
    "v_proj": Q.Q6_K,
    "o_proj": Q.Q8_0,
    "gate_proj": Q.Q4_K,
    "up_proj": Q.Q4_K,
    "down_proj": Q.Q6_K,
}
PERMUTED = ("llama", "smollm3")


def config_of(family, changes, vocab):
    name = "Gemma3TextConfig" if family == "Gemma3" else f"{family}Config"
    ids = dict(vocab_size=vocab, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    return getattr(transformers, name)(**{**SIZES, **ids, **changes})


def deviation(name, shape, tied):
    if "embed" in name or "lm_head" in name:
        # Where the head is the embedding, wide ones would only repeat the last token.
        return 0.08 if tied else 0.4
    return 0.7 / shape[1] ** 0.5


def draw(family, model):
    """Random weights, norms and biases too, so that none can be left out unnoticed."""
    tied = model.config.tie_word_embeddings
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if "norm" in name:
                parameter.normal_(0.0 if family.startswith("Gemma") else 1.0, 0.2)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.3)
            else:
                parameter.normal_(0.0, deviation(name, parameter.shape, tied))


def to_file_order(rows, heads):
    """Rows of each head: its two halves become pairs of neighbours."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def from_file_order(rows, heads):
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, half, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def random_blocks(kind, shape, sigma, random):
    """Blocks of 256 weights with random scales, about normal with the deviation `sigma`."""
    count = shape[0] * shape[1] // 256
    if kind == Q.Q4_K:
        scale = random.integers(8, 64, (count, 8), dtype=np.uint8)
        step = np.full((count, 1), sigma / 167, np.float16)
        packed = np.empty((count, 12), np.uint8)
        # The offsets use the same numbers as the scales, times the middle of the range.
        packed[:, 0:4] = packed[:, 4:8] = scale[:, :4] | ((scale[:, 4:] >> 4) << 6)
        packed[:, 8:12] = (scale[:, 4:] & 15) | ((scale[:, 4:] & 15) << 4)
        offset = (step * np.float16(7.5)).view(np.uint8)
        numbers = random.integers(0, 256, (count, 128), dtype=np.uint8)
        blocks = [step.view(np.uint8), offset, packed, numbers]
    else:
        low = random.integers(0, 256, (count, 128), dtype=np.uint8)
        high = random.integers(0, 256, (count, 64), dtype=np.uint8)
        scale = random.integers(-64, 64, (count, 16), dtype=np.int8).view(np.uint8)
        step = np.full((count, 1), sigma / 685, np.float16).view(np.uint8)
        blocks = [low, high, scale, step]
    return np.concatenate(blocks, axis=1).reshape(shape[0], -1)


def stored(name, weight, kind, tied, random):
    """Bytes of a tensor in the file with their type, and the weights that they stand for."""
    if weight.ndim == 1:
        kind = Q.F32
    elif kind is None:
        kind = MIXED[name.split(".")[-2]]
    if kind in (Q.Q4_K, Q.Q6_K):
        data = random_blocks(kind, weight.shape, deviation(name, weight.shape, tied), random)
    else:
        data = gguf.quants.quantize(weight, kind)
    return data, kind, gguf.quants.dequantize(data, kind).reshape(weight.shape)


def factors(settings, width):
    """What Llama 3 divides its frequencies by, as the converter works it out."""
    found = []
    context = settings["original_max_position_embeddings"]
    low, high = settings["low_freq_factor"], settings["high_freq_factor"]
    for frequency in 1.0 / (settings["rope_theta"] ** (np.arange(0, width, 2) / width)):
        turns = context * frequency / (2 * math.pi)
        part = min(max((turns - low) / (high - low), 0.0), 1.0)
        found.append(1.0 / ((1.0 - part) / settings["factor"] + part))
    return np.array(found, np.float32)


def write_settings(writer, architecture, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    rotary = config.rope_parameters
    whole = rotary.get("full_attention", rotary)
    if architecture != "gemma2":
        writer.add_rope_freq_base(whole["rope_theta"])
    if architecture in PERMUTED:
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(config.head_dim)
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if architecture.startswith("gemma"):
        writer.add_sliding_window(config.sliding_window)
    if architecture == "gemma3":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(whole["factor"])
        writer.add_rope_freq_base_swa(rotary["sliding_attention"]["rope_theta"])


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@torch.no_grad()
def answers(model, rows):
    """Logits after each row, and its greedy continuation; None where a choice is too close."""
    logits, greedy = [], []
    for row in rows:
        tokens = list(row)
        for step in range(NEW):
            last = model(torch.tensor([tokens]), use_cache=False).logits[0, -1].float()
            if step == 0:
                logits.append([round(float(x), 6) for x in last])
            best = torch.topk(last, 2)
            if best.values[0] - best.values[1] < MARGIN:
                return None
            tokens.append(int(best.indices[0]))
        greedy.append(tokens[len(row) :])
    # A model that only repeats itself would show little.
    if len(set().union(*greedy)) < 6:
        return None
    return dict(logits=logits, greedy=greedy)


def make(name, seed):
    family, architecture, changes, kind, vocabulary = CASES[name]
    vocabulary = vocabulary()
    config = config_of(family, changes, len(vocabulary.texts))
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    draw(family, model)
    writer = gguf.GGUFWriter(HERE / f"{name}.gguf", architecture)
    writer.add_name(f"Tiny {name}")
    write_settings(writer, architecture, config)
    vocabulary.write(writer)
    names = gguf.get_tensor_name_map(
        {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[architecture], config.num_hidden_layers
    )
    tied, weights = config.tie_word_embeddings, {}
    for hf_name, parameter in model.named_parameters():
        weight = parameter.detach().numpy().copy()
        heads = None
        if architecture in PERMUTED and "q_proj" in hf_name:
            heads = config.num_attention_heads
        if architecture in PERMUTED and "k_proj" in hf_name:
            heads = config.num_key_value_heads
        shift = 1.0 if family.startswith("Gemma") and hf_name.endswith("norm.weight") else 0.0
        weight = to_file_order(weight, heads) if heads else weight + np.float32(shift)
        data, stored_as, held = stored(hf_name, weight, kind, tied, random)
        writer.add_tensor(names.get_name(hf_name, (".weight", ".bias")), data, raw_dtype=stored_as)
        held = from_file_order(held, heads) if heads else held - np.float32(shift)
        weights[hf_name] = torch.from_numpy(np.ascontiguousarray(held, np.float32))
    if config.rope_parameters.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", factors(config.rope_parameters, config.head_dim))
    missing, unknown = model.load_state_dict(weights, strict=False)
    assert not unknown and set(missing) <= {"lm_head.weight"}, (missing, unknown)
    model.tie_weights()
    generator = torch.Generator().manual_seed(seed)
    vocab = config.vocab_size
    rows = [torch.randint(3, vocab, (n,), generator=generator).tolist() for n in ROWS]
    expected = answers(model, rows)
    if expected is None:
        return False
    finish(writer)
    expected = dict(rows=rows, **expected, texts=vocabulary.answers())
    (HERE / f"{name}.json").write_text(json.dumps(expected) + "\n")
    return True


# Every pre-tokenizer with a larger vocabulary, in files without a tensor.
for pre in BYTE_LEVEL:
    vocabulary = byte_level(pre, "chatml", 520, 0)
    writer = gguf.GGUFWriter(HERE / f"text-{pre}.gguf", "llama")
    vocabulary.write(writer)
    finish(writer)
    (HERE / f"text-{pre}.json").write_text(json.dumps(dict(texts=vocabulary.answers())) + "\n")

for number, name in enumerate(CASES):
    seed = 1000 * number
    while not make(name, seed):
        seed += 10
    print(name, "seed", seed, "transformers", transformers.__version__)
