using System.Globalization;
using System.Text.Json.Nodes;
using GemmaCore.Cuda;

namespace GemmaCore.Cli;

/// <summary>What <c>doctor</c> says of CUDA: libraries and where they were found, cards, the path each would take, and what to install where something is missing.</summary>
internal static class CudaReport
{
    public static JsonObject Examine()
    {
        CudaInstallation installation = CudaInstallation.Find();
        KernelCache cache = KernelCache.Default();
        var report = new JsonObject
        {
            ["problem"] = CudaDevice.WhyUnusable,
            ["driver"] = Describe(installation.Driver),
            ["nvrtc"] = Describe(installation.Nvrtc),
            ["prebuilt_for"] = new JsonArray([.. PrebuiltKernels.Architectures.Select(one => (JsonNode)one)]),
            ["kernel_cache"] = Describe(cache),
        };
        // Without a driver there is nothing to say of cards, and everything else works on the CPU.
        if (installation.Driver.Problem is null) report["cards"] = new JsonArray([.. CudaCard.All().Select(card => (JsonNode)Describe(card, cache))]);
        return report;
    }

    /// <summary>The report as lines of a name and a text; what belongs to a card has an indented name.</summary>
    public static IEnumerable<(string Name, string Text)> Lines(JsonObject report)
    {
        yield return ("cuda", Text(report["problem"]) is { } problem ? $"not usable, auto means the CPU: {problem}" : "usable, auto means cuda:0");
        foreach (string library in (string[])["driver", "nvrtc"])
        {
            JsonObject facts = report[library]!.AsObject();
            if (Text(facts["path"]) is { } path)
                yield return ($"cuda {library}", $"{(library == "driver" ? "CUDA " : "")}{Text(facts["version"]) ?? "of unknown version"} at {path}{Trouble(facts)}");
            else
            {
                yield return ($"cuda {library}", $"not found{(library == "nvrtc" && report["cards"] is null ? " (needed only with a GPU)" : Trouble(facts))}");
                yield return ("     looked for", string.Join(", ", facts["looked_for"]!.AsArray()));
            }
        }

        if (report["prebuilt_for"]!.AsArray() is { Count: > 0 } built) yield return ("cuda prebuilt", "kernels for " + string.Join(", ", built.Select(one => $"sm_{one}")));
        yield return ("cuda cache", CacheLine(report["kernel_cache"]!.AsObject()));
        if (report["cards"] is not JsonArray cards) yield break;
        foreach (JsonObject card in cards.Select(card => card!.AsObject()))
        {
            yield return (Text(card["device"])!, string.Create(
                CultureInfo.InvariantCulture,
                $"{Text(card["card"])}, compute capability {Text(card["capability"])}, {card["memory_bytes"]!.GetValue<long>() / (double)(1L << 30):F1} GiB, {card["processors"]} multiprocessors"));
            foreach (string fact in (string[])["tier", "path", "kernels"])
                if (Text(card[fact]) is { } text) yield return ("     " + fact, text);
        }

        // What the first line has said already is not said again.
        string Trouble(JsonObject facts) => Text(facts["problem"]) is { } trouble && trouble != Text(report["problem"]) ? $": {trouble}" : "";
    }

    private static JsonObject Describe(CudaLibrary library) => new()
    {
        ["path"] = library.Path.Length > 0 ? library.Path : null,
        ["version"] = library.Version.Length > 0 ? library.Version : null,
        ["problem"] = library.Problem,
        ["looked_for"] = new JsonArray([.. library.Looked.Select(place => (JsonNode)place)]),
    };

    private static JsonObject Describe(CudaCard card, KernelCache cache)
    {
        var facts = new JsonObject
        {
            ["device"] = $"cuda:{card.Ordinal}",
            ["card"] = card.Name,
            ["capability"] = $"{card.Capability / 10}.{card.Capability % 10}",
            ["memory_bytes"] = card.MemoryBytes,
            ["processors"] = card.MultiprocessorCount,
        };
        if (card.Capability < 75)
        {
            facts["path"] = "none: compute capability 7.5 or newer is needed";
            return facts;
        }

        if (card.HasTensorCores(cache) is not { } tensorCores)
        {
            facts["path"] = "fp16 or fp32: whether this card has tensor cores is measured at first use";
            return facts;
        }

        facts["tier"] = $"{card.Tier(tensorCores)}: {Reason(card.Tier(tensorCores))}";
        facts["path"] = Words(CudaCard.PrecisionFor(card.Capability, tensorCores));
        facts["kernels"] = Kernels(card, tensorCores);
        return facts;
    }

    private static string Words(CudaPrecision precision) => precision switch
    {
        CudaPrecision.Float32 => "fp32 on the ordinary cores",
        CudaPrecision.Float16 => "fp16 tensor cores with power-of-two row scales, fp32 sums",
        _ => "bf16 tensor cores, fp32 sums",
    };

    private static string Reason(string tier) => tier switch
    {
        "T0" => "7.5 without tensor cores",
        "T1" => "7.5 with tensor cores, which know no bf16, and Gemma overflows plain fp16",
        "T2" => "8.x, whose bf16 has the range that Gemma needs",
        _ => "9.0 or newer, computing as 8.x does, and through warpgroups where kernels of that name stand below",
    };

    // A product or attention has a file for tensor cores beside the one that runs anywhere.
    private static string Kernels(CudaCard card, bool tensorCores)
    {
        string target, how;
        try
        {
            target = CudaDevice.TargetOf(card);
            how = CudaInstallation.Find().Nvrtc.Problem is not null
                ? $"built into this program for {target}"
                : $"compiled for {target} at first use{(target.StartsWith("compute", StringComparison.Ordinal) ? ", then by the driver for the card, which this NVRTC is too old for" : "")}";
        }
        catch (CudaException)
        {
            return "none: nothing to compile them with (see nvrtc)";
        }

        string[] products = Named("*_mma.cu");
        IEnumerable<string> used = tensorCores ? target == "sm_90a" ? [.. Named("*_warpgroup.cu"), .. products] : products : products.Select(name => name[..^4]).Where(name => File.Exists(Path.Combine(KernelFolder, name + ".cu")));
        return $"{string.Join(", ", used)}; every other operation has one kernel for all cards; {how}";
    }

    private static string[] Named(string pattern) =>
        [.. Directory.EnumerateFiles(KernelFolder, pattern).Select(Path.GetFileNameWithoutExtension).OfType<string>().Order(StringComparer.Ordinal)];

    private static string KernelFolder => Path.Combine(AppContext.BaseDirectory, "kernels");

    private static JsonObject Describe(KernelCache cache)
    {
        FileInfo[] files = Directory.Exists(cache.Folder) ? new DirectoryInfo(cache.Folder).GetFiles("*.bin") : [];
        return new JsonObject
        {
            ["folder"] = cache.Folder,
            ["kernels"] = files.Length,
            ["bytes"] = files.Sum(file => file.Length),
            ["problem"] = cache.TryWrite(),
        };
    }

    private static string CacheLine(JsonObject cache)
    {
        string state = string.Create(CultureInfo.InvariantCulture, $"{Text(cache["folder"]) ?? "none"}: {cache["kernels"]} kernels, {cache["bytes"]!.GetValue<long>() / 1e6:F1} MB");
        return Text(cache["problem"]) is { } problem
            ? $"{state}, not writable ({problem}): kernels are compiled at every start; set GEMMACORE_KERNEL_CACHE to a folder that is"
            : state + ", writable";
    }

    private static string? Text(JsonNode? node) => node?.ToString();
}
