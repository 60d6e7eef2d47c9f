using System.Text.Json.Nodes;
using GemmaCore.Cuda;

namespace GemmaCore.Cli;

/// <summary>What <c>doctor</c> says of CUDA: libraries and where they were found, cards, the path each would take, and what to install where something is missing.</summary>
internal static class CudaReport
{
    public static JsonObject Examine()
    {
        CudaInstallation installation = CudaInstallation.Find();
        var report = new JsonObject
        {
            ["driver"] = installation.DriverProblem ?? $"CUDA {installation.DriverVersion} at {installation.DriverPath}",
            ["nvrtc"] = installation.NvrtcProblem ?? $"{installation.NvrtcVersion} at {installation.NvrtcPath}",
            ["kernel cache"] = CacheState(KernelCache.Default()),
        };
        // Without a driver there is nothing to say of cards, and everything else works on the CPU.
        if (installation.DriverProblem is null) report["cards"] = new JsonArray([.. CudaCard.All().Select(card => (JsonNode)Describe(card, installation))]);
        return report;
    }

    private static JsonObject Describe(CudaCard card, CudaInstallation installation)
    {
        var facts = new JsonObject
        {
            ["device"] = $"cuda:{card.Ordinal}",
            ["card"] = card.Name,
            ["capability"] = $"{card.Capability / 10}.{card.Capability % 10}",
            ["memory"] = $"{card.MemoryBytes / (double)(1L << 30):F1} GiB",
            ["processors"] = card.MultiprocessorCount,
        };
        if (card.Capability < 75)
        {
            facts["path"] = "none: compute capability 7.5 or newer is needed";
            return facts;
        }

        facts["tier"] = card.Tier;
        facts["path"] = $"{Words(card.PrecisionFor(card.Capability))}; {Reason(card)}";
        facts["kernels"] = installation.NvrtcProblem is null
            ? $"compiled by NVRTC for {CudaDevice.TargetOf(card)} on first use"
            : "cannot be compiled: see nvrtc";
        return facts;
    }

    private static string Words(CudaPrecision precision) => precision switch
    {
        CudaPrecision.Float32 => "fp32 on the ordinary cores",
        CudaPrecision.Float16 => "fp16 tensor cores with power-of-two row scales, fp32 sums",
        _ => "bf16 tensor cores, fp32 sums",
    };

    private static string Reason(CudaCard card) => card.Tier switch
    {
        "T0" => "this card has no tensor cores",
        "T1" => "tensor cores of 7.5 know no bf16, and Gemma overflows plain fp16",
        _ => "bf16 has the range Gemma needs",
    };

    private static string CacheState(KernelCache cache)
    {
        if (cache.Folder is null) return "none: there is no home folder; kernels are compiled at every start";
        if (!Directory.Exists(cache.Folder)) return $"{cache.Folder} (empty)";
        var files = new DirectoryInfo(cache.Folder).GetFiles("*.bin");
        return $"{cache.Folder} ({files.Length} kernels, {files.Sum(file => file.Length) / 1e6:F1} MB)";
    }
}
