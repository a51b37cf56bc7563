"""Makes the tokenizer.json files beside it, and what the tokenizers library of
Hugging Face says about some texts (NAME.golden.json). tokenizers 0.23.3 made
these: python make.py TEXT, where TEXT is the file to train on (the plays of
Shakespeare, 1 MB). With --more N --out DIR it makes as many random texts more,
for a comparison in bulk: TOKENIZERS_GOLDEN=DIR go test -run Golden ./tokenizer
"""

import argparse
import base64
import json
import pathlib
import random
import struct
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = GPT4.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BYTES = pre_tokenizers.ByteLevel.alphabet()
pre, nor, dec = pre_tokenizers, normalizers, decoders


def byte_fallback():
    return ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]


def with_fallback(j, **kw):
    """Turns byte fallback on; the trainer had to be told that its tokens are special."""
    j["model"].update(byte_fallback=True, **kw)
    j["added_tokens"] = [t for t in j["added_tokens"] if not t["content"].startswith("<0x")]


def charsmap():
    """A compiled map of SentencePiece's form: a double array with the rules
    'ﬁ' -> 'fi', 'Å' -> 'Å', '\\t' -> ' ', '①' -> '1', 'é' (two characters) -> 'é'."""
    rules = {"ﬁ": "fi", "Å": "Å", "\t": " ", "①": "1", "e\u0301": "é"}
    texts, places = b"", {}
    for k, v in rules.items():
        places[k.encode()] = len(texts)
        texts += v.encode() + b"\0"
    children = {}
    for k in places:
        for i in range(len(k)):
            children.setdefault(k[:i], set()).add(k[i])
        children.setdefault(k, set())
    units, used, at = {}, {0}, {b"": 0}
    queue = [b""]
    while queue:
        node = queue.pop(0)
        leaf = node in places
        labels = sorted(children[node]) + ([0] if leaf else [])
        if not labels:
            continue
        base = 1
        while any((base ^ c) in used for c in labels) or (base ^ at[node]) >= 1 << 21:
            base += 1
        used |= {base ^ c for c in labels}
        label = node[-1] if node else 0
        units[at[node]] = label | (1 << 8 if leaf else 0) | (base ^ at[node]) << 10
        for c in sorted(children[node]):
            at[node + bytes([c])] = base ^ c
            queue.append(node + bytes([c]))
        if leaf:
            units[base] = 1 << 31 | places[node]
    size = max(units) + 256
    trie = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(size))
    return struct.pack("<I", len(trie)) + trie + texts


def split(regex):
    return pre.Split(Regex(regex), "isolated")


def plain(use_regex=False):
    return pre.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def bpe(text, normalizer, splitter, decoder, size=420, special=("<|endoftext|>",), alphabet=BYTES, model=None, post=None, **kw):
    t = Tokenizer(model or models.BPE())
    if normalizer:
        t.normalizer = normalizer
    if splitter:
        t.pre_tokenizer = splitter
    if decoder:
        t.decoder = decoder
    if post:
        t.post_processor = post
    t.train([text], trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False, **kw))
    return t


def edited(t, change):
    j = json.loads(t.to_str())
    change(j)
    return Tokenizer.from_str(json.dumps(j, ensure_ascii=False))


def tokenizers(text):
    yield "gpt2", bpe(text, None, plain(True), dec.ByteLevel())
    yield "roberta", bpe(text, None, pre.ByteLevel(), dec.ByteLevel(), special=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
                         model=models.BPE(unk_token="<unk>"), post=processors.RobertaProcessing(("</s>", 2), ("<s>", 0)))

    def whole(j):
        j["model"]["ignore_merges"] = True
        # A word that no merge makes, which is why the flag is there.
        n = len(j["model"]["vocab"])
        j["model"]["vocab"]["ĠRomeoish"] = n
    yield "llama3", edited(bpe(text, None, pre.Sequence([split(GPT4), plain()]), dec.ByteLevel(), special=["<|begin_of_text|>", "<|end_of_text|>"]), whole)
    qwen = bpe(text, nor.NFC(), pre.Sequence([split(QWEN), plain()]), dec.ByteLevel(), special=["<|endoftext|>", "<|im_start|>"])
    qwen.add_tokens([AddedToken("<think>", normalized=False), AddedToken("  ", normalized=True), AddedToken("<thinker>", normalized=False)])
    yield "qwen", qwen
    yield "o200k", bpe(text, None, pre.Sequence([split(O200K), plain()]), dec.ByteLevel())
    yield "deepseek", bpe(text, nor.Sequence([]), pre.Sequence([split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK), plain()]), dec.ByteLevel(),
                          special=["<｜end▁of▁sentence｜>"])
    yield "starcoder", bpe(text, None, pre.Sequence([pre.Digits(individual_digits=True), plain(True)]), dec.ByteLevel())
    llama2 = dec.Sequence([dec.Replace("▁", " "), dec.ByteFallback(), dec.Fuse(), dec.Strip(" ", 1, 0)])

    def fallback(j):
        with_fallback(j, fuse_unk=True)
    yield "llama2", edited(bpe(text, nor.Sequence([nor.Prepend("▁"), nor.Replace(" ", "▁")]), None, llama2, size=400, special=byte_fallback(), alphabet=[],
                               model=models.BPE(unk_token="<unk>"), max_token_length=8), fallback)
    yield "gemma", edited(bpe(text, nor.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous"), dec.Sequence([dec.Replace("▁", " "), dec.ByteFallback(), dec.Fuse()]),
                              size=400, special=byte_fallback(), alphabet=[], model=models.BPE(unk_token="<unk>"), max_token_length=8), fallback)
    yield "mistral", edited(bpe(text, None, pre.Metaspace(prepend_scheme="first", split=False),
                                dec.Sequence([dec.Replace("▁", " "), dec.ByteFallback(), dec.Fuse(), dec.Strip(" ", 1, 0)]), size=400, special=byte_fallback(),
                                alphabet=[], model=models.BPE(unk_token="<unk>"), max_token_length=8), fallback)
    yield "metaspace", bpe(text, None, pre.Metaspace(), dec.Metaspace(), size=200, special=["<unk>", "</s>"], alphabet=[], model=models.BPE(unk_token="<unk>"))
    yield "fused", bpe(text, None, pre.Metaspace(prepend_scheme="never"), dec.Metaspace(prepend_scheme="never"), size=200, special=["<unk>", "</s>"], alphabet=[],
                       model=models.BPE(unk_token="<unk>", fuse_unk=True))
    yield "clip", bpe(text, nor.Sequence([nor.NFC(), nor.Replace(Regex(r"\s+"), " "), nor.Lowercase()]),
                      pre.Sequence([pre.Split(Regex(CLIP), "removed", invert=True), plain(True)]), dec.Sequence([dec.ByteLevel(), dec.Replace("</w>", " ")]),
                      size=800, special=["<|startoftext|>", "<|endoftext|>", "<unk>"], model=models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"),
                      end_of_word_suffix="</w>")
    yield "openai", bpe(text, nor.BertNormalizer(), pre.BertPreTokenizer(), dec.BPEDecoder(), size=300, special=["<unk>", "[SEP]"], alphabet=[],
                        model=models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), end_of_word_suffix="</w>")
    yield "prefixed", bpe(text, nor.Strip(), pre.Sequence([pre.WhitespaceSplit(), pre.Punctuation("merged_with_next")]), dec.WordPiece(), size=300,
                          special=["<unk>", "</s>"], alphabet=[], model=models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), continuing_subword_prefix="##")

    def wordpiece(normalizer, splitter, decoder, size=400):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer, t.pre_tokenizer, t.decoder = normalizer, splitter, decoder
        t.train([text], trainers.WordPieceTrainer(vocab_size=size, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"], show_progress=False,
                                                  initial_alphabet=list("éüß中文日Σ")))
        t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        return t
    yield "bert", wordpiece(nor.BertNormalizer(), pre.BertPreTokenizer(), dec.WordPiece())
    yield "bert-cased", wordpiece(nor.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False, clean_text=False), pre.BertPreTokenizer(),
                                  dec.WordPiece(cleanup=False))
    yield "electra", wordpiece(nor.Sequence([nor.NFKD(), nor.StripAccents(), nor.Lowercase()]), pre.Sequence([pre.Whitespace(), pre.Digits()]), dec.WordPiece())

    def unigram(normalizer, splitter, decoder, byte_fallback=False, size=300):
        t = Tokenizer(models.Unigram())
        if normalizer:
            t.normalizer = normalizer
        if splitter:
            t.pre_tokenizer = splitter
        t.decoder = decoder
        special = ["<unk>", "</s>", "<pad>"] + ([f"<0x{i:02X}>" for i in range(256)] if byte_fallback else [])
        t.train([text], trainers.UnigramTrainer(vocab_size=size + (256 if byte_fallback else 0), special_tokens=special, unk_token="<unk>", show_progress=False,
                                                initial_alphabet=list("é日本ü")))
        if byte_fallback:
            t = edited(t, with_fallback)
        return t
    yield "t5", unigram(nor.Sequence([nor.Precompiled(charsmap()), nor.Replace(Regex(" {2,}"), " ")]), pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace()]), dec.Metaspace())
    yield "unigram", unigram(nor.NFKC(), pre.Metaspace(), dec.Metaspace())
    t = unigram(None, pre.Metaspace(prepend_scheme="never"), dec.Sequence([dec.ByteFallback(), dec.Metaspace(prepend_scheme="never")]), byte_fallback=True)
    t.pre_tokenizer = pre.Metaspace(prepend_scheme="never", split=False)
    yield "unigram-bytes", t

    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.pre_tokenizer = pre.Sequence([pre.CharDelimiterSplit(" "), pre.Punctuation("contiguous"), pre.Split(Regex(r"\d"), "merged_with_previous")])
    t.train([text], trainers.WordLevelTrainer(vocab_size=200, special_tokens=["[UNK]", "[SEP]"], show_progress=False))
    yield "wordlevel", t

    t = bpe(text, nor.Lowercase(), pre.ByteLevel(), dec.ByteLevel())
    t.add_tokens([AddedToken("both", lstrip=True, rstrip=True, normalized=False), AddedToken("word", single_word=True, normalized=False),
                  AddedToken("left", lstrip=True, normalized=False), AddedToken("right", rstrip=True, normalized=True), AddedToken("KING", normalized=True),
                  AddedToken("both words", normalized=False)])
    yield "added", t


TEXTS = [
    "", " ", "  ", "\n", " \n ", "a", " a", "  a", "a  ", "\ta", "\n\n a", "\r\n", "Hello, world!", "ROMEO: O, she doth teach the torches to burn bright!",
    "I'll we've 's 't're it'S ''s '", "DON'T I'LL WE'VE", "12 345 a1b2", "1234567 ١٢٣ ½", "1.5e-3", "...", " ...x", "a.b,c;d", "!!??//\n\n", "x//\nfoo",
    "<|endoftext|>", "x<|endoftext|>y", "<s></s><unk>", "a </s> b", "[SEP] [UNK] [CLS]", "<|im_start|>user", "<0x0A>", "a<think>b</think>  <thinker>",
    "héllo wörld", "h\u0065\u0301llo e\u0301", "日本語 テキスト", "中文字符test", "Ⅷ ½ ² ﬁ ① Å", "a\u00a0b", "\u00a0\u00a0b", "\u2003\u2003x", "\u3000", "▁a ▁ b▁c", " ▁",
    "😀😀 👩\u200d👩\u200d👧", "\ufffd", "\ufeffx", "\x00", "a\x00b", "\x1c\x1d x", "\v\f", "\u0085x", "İstanbul ΑΣ ΣΑΣ ǅ ß", "ＡＢＣ　１２３", "Tⱥⱦ", "x" * 120, "ab " * 30,
    "both words", " both  both", "a word wordy sword word", "x  left y", "right  x RIGHT y", "king KING King", "boTh\nleft", "Romeoish Romeoish", "it’s “quoted” — dash",
    "function(x) { return x_1 + 0xFF; }\n\tif a==b:\n\t\tpass\n", "don 't do not can ' t , . !", "ﷺ ǆ ŉ", "กำ  ำ", "한국어 텍스트", "हिन्दी", "a\u0301\u0302\u0303", "\u200b\u200cx\u200d", "\u0378\ue000x",
]

PARTS = TEXTS + list("abcdeghilnorstuwy ,.!?'\n\t-") + [" the", " and", "I'", "'LL", "\r\n", "  ", "   ", "0", "99", "é", "e\u0301", "Σ", "中", "▁", "�", "<", ">", "_", "\u00a0", "\u2028", "İ", "ſ", "K", "𝒳", "ﬀ", "\u0300"]


def settled(c):
    """Whether every version of Unicode says the same of a character; the
    library uses several, and Go another."""
    old, new = unicodedata.ucd_3_2_0.category(chr(c)), unicodedata.category(chr(c))
    return old == new != "Cn" and new != "Cs"


SETTLED = [c for c in range(0x323b0) if settled(c)]


def random_text(r):
    if r.random() < 0.2:
        return "".join(chr(c) for c in r.choices(SETTLED[:9000], k=r.randrange(1, 12)))
    return "".join(r.choice(PARTS) for _ in range(r.randrange(1, 12)))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("text")
    args.add_argument("--more", type=int, default=0)
    args.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    args = args.parse_args()
    args.out.mkdir(exist_ok=True)
    r = random.Random(1)
    texts = TEXTS + [random_text(r) for _ in range(args.more)]
    if args.more:
        texts += [chr(c) + "x " + chr(c) + "1." for i, c in enumerate(SETTLED) if i < 12000 or i % 40 == 0]
    for name, t in tokenizers(args.text):
        j = json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":"))
        (args.out / f"{name}.json").write_text(j + "\n")
        t = Tokenizer.from_str(j)
        t.encode_special_tokens = True
        rows = []
        for text in texts:
            ids = t.encode(text, add_special_tokens=False).ids
            rows.append({"text": text, "ids": ids, "decoded": t.decode(ids)})
        lines = ",\n".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in rows)
        (args.out / f"{name}.golden.json").write_text(f"[\n{lines}\n]\n")


main()
