using System.Globalization;
using GemmaCore.Bench;
using GemmaCore.Tensors;

// bench [operation...]: times the named operations, or all of them.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var all = new Dictionary<string, Action<Stopclock>>
{
    ["matmul"] = MatmulBench.Run,
    ["lora"] = LoraBench.Run,
};
if (args.FirstOrDefault(name => !all.ContainsKey(name)) is { } unknown)
{
    Console.Error.WriteLine($"bench: there is no operation '{unknown}'; known: {string.Join(", ", all.Keys)}");
    return 2;
}

using var device = new CpuDevice();
MachinePeaks peaks = MachinePeaks.Measure(device);
Console.WriteLine(peaks);
foreach ((string name, Action<Stopclock> run) in all)
    if (args.Length == 0 || args.Contains(name)) run(new Stopclock(device, peaks));
return 0;
