using System.Globalization;
using GemmaCore.Bench;
using GemmaCore.Tensors;

// bench [threads=N] [name...]: times the named operations and models, or all operations.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var all = new Dictionary<string, Action<Stopclock>>
{
    ["matmul"] = MatmulBench.Run,
    ["matmul_nf4"] = MatmulNf4Bench.Run,
    ["matmul_int8"] = MatmulInt8Bench.Run,
    ["lora"] = LoraBench.Run,
    ["matmul_lora"] = MatmulLoraBench.Run,
    ["attention"] = AttentionBench.Run,
    ["linear_cross_entropy"] = LinearCrossEntropyBench.Run,
    ["rms_norm"] = RmsNormBench.Run,
    ["add_rms_norm"] = AddRmsNormBench.Run,
    ["rms_norm_rope"] = RmsNormRopeBench.Run,
    ["layer_norm"] = LayerNormBench.Run,
    ["rope"] = RopeBench.Run,
    ["add"] = AddBench.Run,
    ["glu"] = GluBench.Run,
    ["activate"] = ActivateBench.Run,
    ["embedding"] = EmbeddingBench.Run,
    ["gather_rows"] = GatherRowsBench.Run,
    ["scatter_rows"] = ScatterRowsBench.Run,
    ["patch_embed"] = PatchEmbedBench.Run,
    ["average_pool"] = AveragePoolBench.Run,
    ["scale_columns"] = ScaleColumnsBench.Run,
    ["adamw_update"] = AdamwUpdateBench.Run,
    ["sum_of_squares"] = SumOfSquaresBench.Run,
    ["top_k"] = TopKBench.Run,
};
int threads = args.Length > 0 && args[0].StartsWith("threads=", StringComparison.Ordinal) ? int.Parse(args[0][8..], CultureInfo.InvariantCulture) : 0;
string[] models = ["mini", "gemma-3-270m", "gemma-3-1b"];
string[] wanted = threads == 0 ? args : args[1..];
if (wanted.FirstOrDefault(name => !all.ContainsKey(name) && !models.Contains(name)) is { } unknown)
{
    Console.Error.WriteLine($"bench: there is no operation '{unknown}'; known: {string.Join(", ", all.Keys.Concat(models))}");
    return 2;
}

using var device = new CpuDevice(threads);
MachinePeaks peaks = MachinePeaks.Measure(device);
Console.WriteLine(peaks);
foreach ((string name, Action<Stopclock> run) in all)
    if (wanted.Length == 0 || wanted.Contains(name)) run(new Stopclock(device, peaks));
foreach (string model in models)
    if (wanted.Contains(model)) ModelBench.Run(model, new Stopclock(device, peaks), peaks);
return 0;
