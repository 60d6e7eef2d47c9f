// One LoRA training step of the mini shape in TorchSharp, timed. Arguments: step count (default 10).
// Prints per sequence length: min / median / max ms of a step and the process's peak resident memory.
using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

int steps = args.Length > 0 ? int.Parse(args[0]) : 10;
set_num_threads(Environment.ProcessorCount);
Console.WriteLine($"TorchSharp {typeof(torch).Assembly.GetName().Version}, {get_num_threads()} threads, {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC");
random.manual_seed(1);
var model = new MiniModel();
var optimizer = optim.AdamW(model.Trainable, lr: 1e-4, weight_decay: 0);
foreach (int length in new[] { 128, 512 })
{
    using Tensor ids = randint(0, MiniModel.Vocabulary, new long[] { length + 1 }, int64);
    using Tensor input = ids[TensorIndex.Slice(0, length)], labels = ids[TensorIndex.Slice(1, length + 1)];
    var milliseconds = new List<double>();
    double loss = 0;
    for (int step = -3; step < steps; step++)
    {
        using var scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        optimizer.zero_grad();
        Tensor value = nn.functional.cross_entropy(model.Forward(input), labels);
        value.backward();
        optimizer.step();
        loss = value.item<float>();
        if (step >= 0) milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    milliseconds.Sort();
    Console.WriteLine($"T {length}: min {milliseconds[0]:F0} ms, median {milliseconds[milliseconds.Count / 2]:F0} ms, max {milliseconds[^1]:F0} ms, loss {loss:F3}, peak RSS {PeakResidentMegabytes()} MB");
}

static long PeakResidentMegabytes() =>
    long.Parse(File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmHWM:")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) / 1024;
