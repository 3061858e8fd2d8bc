"""Does one measure with llama.cpp and prints it as JSON.

usage: llama_peer.py MEASURE GGUF WORKLOAD THREADS
"""

import json
import statistics
import sys
import time

import llama_cpp
import numpy

measure, file, workload, threads = sys.argv[1:5]
threads = int(threads)
work = json.load(open(workload))


@llama_cpp.llama_log_callback
def quiet(level, text, data):
    pass


llama_cpp.llama_log_set(quiet, None)
llama_cpp.llama_backend_init()
model = llama_cpp.llama_model_load_from_file(
    file.encode(), llama_cpp.llama_model_default_params()
)
vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))


def peak_megabytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024


def build():
    """What of the processor this build uses, such as `AVX2, FMA`."""
    told = llama_cpp.llama_print_system_info().decode().replace("|", ":").split(":")
    return ", ".join(part.split("=")[0].strip() for part in told if part.strip().endswith("= 1"))


def report(value, note=""):
    note = f"llama-cpp-python {llama_cpp.__version__} ({build()})" + (", " + note if note else "")
    print(json.dumps({"value": value, "peak_mb": peak_megabytes(), "note": note}), flush=True)


class Context:
    """A context for some sequences and the batch that goes into it."""

    def __init__(self, size, batch, sequences=1):
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = size
        settings.n_batch = batch
        settings.n_ubatch = min(batch, 2048)
        settings.n_seq_max = sequences
        settings.n_threads = settings.n_threads_batch = threads
        settings.flash_attn_type = 1
        settings.no_perf = True
        self.context = llama_cpp.llama_init_from_model(model, settings)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(batch, 0, 1)
        self.count = 0

    def clear(self):
        llama_cpp.llama_memory_clear(self.memory, True)

    def cut(self, sequence, position):
        llama_cpp.llama_memory_seq_rm(self.memory, sequence, position, -1)

    def add(self, tokens, position, sequence, scores):
        """Adds tokens of one sequence; scores are wanted after the last one or not at all."""
        for offset, token in enumerate(tokens):
            at = self.count
            self.batch.token[at] = token
            self.batch.pos[at] = position + offset
            self.batch.n_seq_id[at] = 1
            self.batch.seq_id[at][0] = sequence
            self.batch.logits[at] = scores and offset == len(tokens) - 1
            self.count += 1

    def run(self):
        self.batch.n_tokens, self.count = self.count, 0
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama.cpp refused the batch")

    def scores(self, at):
        pointer = llama_cpp.llama_get_logits_ith(self.context, at)
        return numpy.ctypeslib.as_array(pointer, shape=(vocabulary,))


def decode(context, prompts, count):
    """New tokens per second after the first one."""
    context.clear()
    ends = []
    for sequence, prompt in enumerate(prompts):
        context.add(prompt, 0, sequence, True)
        ends.append(context.count - 1)
    context.run()
    newest = [int(context.scores(end).argmax()) for end in ends]
    start = time.perf_counter()
    for step in range(count - 1):
        for sequence, prompt in enumerate(prompts):
            context.add([newest[sequence]], len(prompt) + step, sequence, True)
        context.run()
        newest = [int(context.scores(row).argmax()) for row in range(len(prompts))]
    return len(prompts) * (count - 1) / (time.perf_counter() - start)


def median(run, count=3, warm=1):
    for _ in range(warm):
        run()
    return statistics.median(run() for _ in range(count))


if measure == "first_token":
    context = Context(512, 512)
    context.add(work["prompts"][0], 0, 0, True)
    context.run()
    context.scores(-1).argmax()
    report(0.0)
elif measure in ("decode_single", "peak_memory"):
    context = Context(512, 512)
    report(median(lambda: decode(context, work["prompts"][:1], work["single_tokens"])))
elif measure == "prefill_512":
    context = Context(1024, 512)

    def prefill():
        context.clear()
        start = time.perf_counter()
        context.add(work["long_prompt"], 0, 0, True)
        context.run()
        context.scores(-1)
        return len(work["long_prompt"]) / (time.perf_counter() - start)

    report(median(prefill))
elif measure == "decode_18_adapters":
    # An adapter belongs to the whole context, so voices with different ones can't share a batch:
    # this is the base model without adapters, which no mixed batch could exceed.
    prompts = work["prompts"]
    context = Context(256 * len(prompts), 2048, len(prompts))
    value = median(lambda: decode(context, prompts, work["voice_tokens"]))
    report(value, "without adapters, which it can't mix in a batch")
elif measure == "survey_sweep":
    personas = work["personas"]
    context = Context(256 * len(personas), 4096, len(personas))

    def sweep():
        context.clear()
        start = time.perf_counter()
        for sequence, persona in enumerate(personas):
            context.add(persona, 0, sequence, False)
        context.run()
        for question in work["questions"]:
            ends = []
            for sequence, persona in enumerate(personas):
                context.add(question, len(persona), sequence, True)
                ends.append(context.count - 1)
            context.run()
            for end in ends:
                context.scores(end)[work["options"]]
            for sequence, persona in enumerate(personas):
                context.cut(sequence, len(persona))
        taken = time.perf_counter() - start
        return len(personas) * len(work["questions"]) / taken

    report(median(sweep, 2, 0))
else:
    sys.exit(f"unknown measure {measure}")
