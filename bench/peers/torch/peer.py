"""The same operations in PyTorch, and the same training step in transformers + peft, on the card that `gemmacore bench` was timed on.

    peer.py ops|models [--tiny] >> torch.jsonl     one JSON object a line, operations and shapes named as `gemmacore bench --json` names them
    peer.py join bench.jsonl torch.jsonl           one table with ratios (above 1: GemmaCore is faster); needs no torch

torch multiplies bfloat16 activations; GemmaCore keeps activations in fp32 and rounds them within the product: its figures include that.
"""
import json
import sys
import time

MATMUL, MATMUL_BACK = "matmul forward, y[T, O] = x[T, K]·wᵀ", "matmul backward, dX[T, O] = dY[T, K]·w[K, O]"
ATTENTION, ATTENTION_TRAINING = "attention forward, T rows over a past", "attention forward + backward"
MODEL = "medgemma-4b, bf16 weights"
TINY = "--tiny" in sys.argv


def emit(**figures):
    print(json.dumps({"library": "torch", **figures}, ensure_ascii=False), flush=True)


def measure(torch, action):
    """Microseconds of a call: samples of as many calls as take two milliseconds, replayed as one graph where torch can, as Stopclock does."""
    cuda = torch.cuda.is_available()

    def batch(calls, graph=None):
        if cuda:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize()
            begin.record()
        start = time.perf_counter()
        if graph is not None:
            graph.replay()
        else:
            for i in range(calls):
                action(i)
        if not cuda:
            return (time.perf_counter() - start) * 1e6 / calls
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e3 / calls

    for i in range(1 if TINY else 5):
        action(i)
    calls = 1 if TINY else int(max(1, min(200, 2000 / batch(1))))
    graph = capture(torch, action, calls) if cuda else None
    batch(calls, graph)
    samples = sorted(batch(calls, graph) for _ in range(3 if TINY else 20))
    return samples[0], samples[len(samples) // 2], samples[-1]


def capture(torch, action, calls):
    """The calls as a graph; None for what cannot be captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        action(0)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            for i in range(calls):
                action(i)
    except RuntimeError:
        torch.cuda.synchronize()
        return None
    return graph


def row(torch, operation, shape, bytes_moved, flops, action):
    try:
        low, median, high = measure(torch, action)
    except Exception as problem:  # one operation must not cost the others' figures
        emit(operation=operation, shape=shape, error=str(problem).splitlines()[0])
        return
    emit(operation=operation, shape=shape, min_us=low, median_us=median, max_us=high, gbs=bytes_moved / median / 1e3, gflops=flops / median / 1e3)


def operations(torch):
    functional, device = torch.nn.functional, "cuda" if torch.cuda.is_available() else "cpu"
    emit(machine=torch.cuda.get_device_name() if device == "cuda" else "cpu", version=torch.__version__)

    def random(*sizes, dtype=torch.bfloat16):
        return torch.randn(*sizes, device=device, dtype=dtype)

    products = [(24, 40, 32)] if TINY else [
        (10240, 2560, 1), (2048, 2560, 1), (1024, 2560, 1), (2560, 10240, 1), (262208, 2560, 1), (10240, 2560, 8), (10240, 2560, 512), (2560, 10240, 512),
        (2048, 2560, 2048), (10240, 2560, 2048), (2560, 10240, 2048), (1152, 1152, 4096), (4304, 1152, 4096), (8192, 8192, 8192)]
    for o, k, t in products:
        copies = max(2, min(256, (256 << 20) // (2 * o * k))) if t <= 16 and not TINY else 1
        x, weights = random(t, k), [random(o, k) for _ in range(copies)]
        name, flops, moved = f"T {t}, O {o}, K {k}, bf16", 2.0 * t * o * k, 2.0 * (o * k + t * (o + k))
        row(torch, MATMUL, name, moved, flops, lambda i: x @ weights[i % copies].t())
        if t >= 32:
            w = random(k, o)
            row(torch, MATMUL_BACK, name, moved, flops, lambda i: x @ w)
        del weights

    def attend(t, past, n, kv, h, causal, backward):
        q, k, v = random(1, n, t, h), random(1, kv, t + past, h), random(1, kv, t + past, h)
        pairs = t * past + t * (t + 1) / 2 if causal else t * t
        flops, gradient = (7 if backward else 2) * 2.0 * n * h * pairs, random(1, n, t, h)
        if backward:
            for tensor in (q, k, v):
                tensor.requires_grad_()

        def once(_):
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=causal and t > 1, scale=0.0625, enable_gqa=n != kv)
            if backward:
                torch.autograd.grad(y, (q, k, v), gradient)

        row(torch, ATTENTION_TRAINING if backward else ATTENTION, f"T {t}, past {past}, N {n}, K {kv}, H {h}{', causal' if causal else ''}",
            2.0 * h * (2 * t * n + 2 * (t + past) * kv), flops, once)

    for case in [(20, 0, 2, 1, 32, True)] if TINY else [
            (4096, 0, 16, 16, 72, False), (2048, 0, 8, 4, 256, True), (8192, 0, 8, 4, 256, True), (8192, 0, 8, 4, 256, False), (1, 8192, 8, 4, 256, True),
            (1, 1023, 8, 4, 256, True)]:
        attend(*case, False)
    for case in [(20, 0, 2, 1, 32, True)] if TINY else [(2048, 0, 8, 4, 256, True), (8192, 0, 8, 4, 256, True), (4096, 0, 16, 16, 72, False)]:
        attend(*case, True)

    single = torch.float32
    for t, d in [(3, 40)] if TINY else [(1, 2560), (512, 2560), (8192, 2560)]:
        x, y, w = random(t, d, dtype=single), random(t, d, dtype=single), random(d, dtype=single)
        row(torch, "rms norm forward, [T, D]", f"T {t}, D {d}", 8.0 * t * d, 5.0 * t * d, lambda _: functional.rms_norm(x, (d,), w, 1e-6))
        row(torch, "add forward, [T, D]", f"T {t}, D {d}", 12.0 * t * d, 1.0 * t * d, lambda _: x + y)
    for t, d in [(3, 40)] if TINY else [(256, 1152), (4096, 1152), (16384, 1152)]:
        x, w, b = random(t, d, dtype=single), random(d, dtype=single), random(d, dtype=single)
        row(torch, "layer norm forward, [T, D]", f"T {t}, D {d}", 8.0 * t * d, 8.0 * t * d, lambda _: functional.layer_norm(x, (d,), w, b, 1e-6))
    for t, d in [(3, 40)] if TINY else [(1, 10240), (256, 10240), (4096, 10240)]:
        gate, up = random(t, d, dtype=single), random(t, d, dtype=single)
        row(torch, "glu forward (GeluTanh), [T, F]", f"T {t}, D {d}", 12.0 * t * d, 21.0 * t * d, lambda _: functional.gelu(gate, approximate="tanh") * up)

    for r, d, v in [(3, 40, 50)] if TINY else [(64, 128, 1024), (512, 2560, 262208)]:
        hidden, head = random(r, d).requires_grad_(), random(v, d)
        targets = torch.randint(v, (r,), device=device)
        row(torch, "linear cross entropy with dHidden", f"R {r}, D {d}, V {v}", 4.0 * v * d + 24.0 * r * v, 4.0 * r * d * v,
            lambda _: torch.autograd.grad(functional.cross_entropy((hidden @ head.t()).float(), targets), hidden))


def models(torch):
    try:
        import peft
        import transformers
    except ImportError as missing:
        emit(operation=MODEL, shape="LoRA step", error=f"not installed: {missing.name}")
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, vocab_size=512) if TINY else dict(
        hidden_size=2560, intermediate_size=10240, num_hidden_layers=34, vocab_size=262208)
    config = transformers.Gemma3TextConfig(
        num_attention_heads=8, num_key_value_heads=4, head_dim=256, sliding_window=1024, max_position_embeddings=131072, **sizes)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = transformers.Gemma3ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    length, wait = 24 if TINY else 512, torch.cuda.synchronize if device == "cuda" else lambda: None
    ids = torch.arange(length, device=device)[None] * 7919 % sizes["vocab_size"]

    def samples(count, action):
        times = []
        for i in range(count + 2):
            wait()
            start = time.perf_counter()
            action()
            wait()
            times.append(time.perf_counter() - start)
        return sorted(times[2:])

    with torch.no_grad():
        times = samples(5, lambda: model(ids, logits_to_keep=1))
        emit(operation=MODEL, shape=f"prefill {length}, tokens/s", min=length / times[-1], median=length / times[len(times) // 2], max=length / times[0])
        state = model(ids, logits_to_keep=1, use_cache=True).past_key_values
        times = samples(16, lambda: model(ids[:, :1], past_key_values=state, use_cache=True))
        emit(operation=MODEL, shape=f"decode at {length}, tokens/s", min=1 / times[-1], median=1 / times[len(times) // 2], max=1 / times[0])
    linears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=16, target_modules=linears, task_type="CAUSAL_LM"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    for length in (16,) if TINY else (128, 512, 2048):
        ids = torch.arange(length, device=device)[None] * 7919 % sizes["vocab_size"]

        def step():
            optimizer.zero_grad()
            model(ids, labels=ids).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        times = [1e3 * t for t in samples(5, step)]
        emit(operation=MODEL, shape=f"LoRA step {length}, ms", min=times[0], median=times[len(times) // 2], max=times[-1])


def join(ours_path, theirs_path):
    def read(path):
        try:
            with open(path, encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.startswith("{")]
        except FileNotFoundError:
            return []

    ours, theirs = read(ours_path), {(line.get("operation"), line.get("shape")): line for line in read(theirs_path)}
    for line in [*ours, *theirs.values()]:
        if "machine" in line:
            print(f"- {line['library']}: {line['machine']} {line.get('version', '')}".rstrip())
        elif line.get("shape") == "" or line.get("shape") == "LoRA step":
            print(f"- torch, {line['operation']}: {line['error']}")
    print("\n| operation | shape | min | median | max | GB/s | of copy | GFLOP/s | of peak | torch median | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")

    def number(line, key, share=False):
        return "" if key not in line else f"{line[key]:.0%}" if share else f"{line[key]:.1f}"

    for line in ours:
        if "shape" not in line:
            continue
        other, rate = theirs.get((line["operation"], line["shape"]), {}), "tokens/s" in line["shape"]
        kind, torch_text, ratio = "median" if "median" in line else "median_us", "", ""
        if "error" in other:
            torch_text = other["error"]
        elif kind in other:
            torch_text = f"{other[kind]:.1f}"
            ratio = f"{line[kind] / other[kind] if rate else other[kind] / line[kind]:.2f}"
        low, high = kind.replace("median", "min"), kind.replace("median", "max")
        print(f"| {line['operation']} | {line['shape']} | {number(line, low)} | {number(line, kind)} | {number(line, high)} | {number(line, 'gbs')} | "
              f"{number(line, 'gbs_share', True) or line.get('limit', '')} | {number(line, 'gflops')} | {number(line, 'gflops_share', True)} | {torch_text} | {ratio} |")


def main():
    if len(sys.argv) >= 4 and sys.argv[1] == "join":
        join(sys.argv[2], sys.argv[3])
        return 0
    if len(sys.argv) < 2 or sys.argv[1] not in ("ops", "models"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import torch
    except ImportError:
        emit(operation=sys.argv[1], shape="", error="not installed: torch")
        return 0
    (operations if sys.argv[1] == "ops" else models)(torch)
    return 0


sys.exit(main())
