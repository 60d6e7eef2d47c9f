using System.Globalization;
using GemmaCore.Bench;
using GemmaCore.Bench.Serving;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

// bench serve [MODEL] [NAME=N...]: the server over HTTP, see ServeBench.
// bench radiograph FOLDER: packed pictures, see RadiographBench.
// bench [threads=N] [--device cpu|cuda[:N]] [--tiny] [--json] [--no-training] [name...]: times the named operations and models, or all operations.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args is ["serve", ..]) return await ServeBench.RunAsync(args[1..]);
if (args is ["radiograph", var folder]) return RadiographBench.Run(folder);
var all = new Dictionary<string, Action<Stopclock>>
{
    ["matmul"] = MatmulBench.Run,
    ["matmul_nf4"] = MatmulNf4Bench.Run,
    ["matmul_int8"] = MatmulInt8Bench.Run,
    ["matmul_int8_group"] = MatmulInt8GroupBench.Run,
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
string[] models = ["tiny", "mini", "gemma-3-270m", "gemma-3-1b", "medgemma-4b"];
int threads = 0;
string place = "cpu";
bool tiny = false, json = false, training = true;
var wanted = new List<string>();
for (int i = 0; i < args.Length; i++)
{
    if (args[i] == "--tiny") tiny = true;
    else if (args[i] == "--json") json = true;
    else if (args[i] == "--no-training") training = false;
    else if (args[i] == "--device" && i + 1 < args.Length) place = args[++i];
    else if (args[i].StartsWith("threads=", StringComparison.Ordinal) && int.TryParse(args[i][8..], out int count)) threads = count;
    else wanted.Add(args[i]);
}

if (wanted.FirstOrDefault(name => !all.ContainsKey(name) && !models.Contains(Preset(name))) is { } unknown)
{
    Console.Error.WriteLine($"bench: there is no operation '{unknown}'; known: {string.Join(", ", all.Keys.Concat(models))}");
    return 2;
}

int ordinal = 0;
if (place is not ("cpu" or "cuda") && !(place.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(place[5..], out ordinal)))
{
    Console.Error.WriteLine($"bench: --device {place}: expected cpu or cuda[:N]");
    return 2;
}

int failures = 0;
try
{
    using Device device = place == "cpu" ? new CpuDevice(threads) : CudaDevice.Open(ordinal);
    MachinePeaks peaks = device is CudaDevice card ? CardPeaks.Measure(card, tiny) : MachinePeaks.Measure((CpuDevice)device);
    var report = new BenchReport(json, device, peaks);
    report.Start();
    foreach ((string name, Action<Stopclock> run) in all)
        if (wanted.Count == 0 || wanted.Contains(name)) Run(name, () => run(new Stopclock(device, peaks, tiny, report)));
    foreach (string model in wanted.Where(name => models.Contains(Preset(name)))) Run(model, () => ModelBench.Run(model, new Stopclock(device, peaks, tiny, report), training));
}
catch (CudaException problem)
{
    Console.Error.WriteLine("bench: " + problem.Message);
    return 1;
}

return failures == 0 ? 0 : 1;

// A model's name may end in a weight format.
static string Preset(string name) => name.Split(':') is [var preset, .. var formats] && formats.All(format => format is "nf4" or "int8" or "head8") ? preset : name;

// One operation that fails must not cost the figures of the others, on a machine that is lent for minutes.
void Run(string name, Action run)
{
    try
    {
        run();
    }
    catch (Exception problem) when (problem is InvalidOperationException or CudaException or ShapeException)
    {
        failures++;
        Console.Error.WriteLine($"bench: {name}: {problem.Message}");
    }
}
