using System.CommandLine;
using System.Globalization;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Cli;

/// <summary>Where to compute and in which arithmetic: <c>--device</c>, <c>--dtype</c>, <c>--arch</c>.</summary>
internal sealed class DeviceOptions
{
    private bool _hasTold;

    public Option<string> Device { get; } = new("--device") { Description = "auto, cpu or cuda[:N]", DefaultValueFactory = _ => "auto" };

    public Option<string> Dtype { get; } = new("--dtype") { Description = "auto, fp32, bf16 or fp16; the CPU computes in fp32", DefaultValueFactory = _ => "auto" };

    public Option<int> Arch { get; } = new("--arch") { Description = $"compile kernels for {Known}, at or below the card's own" };

    private static string Known => $"{string.Join(", ", CudaDevice.Architectures.SkipLast(1))} or {CudaDevice.Architectures[^1]}";

    public void AddTo(Command command)
    {
        command.Add(Device);
        command.Add(Dtype);
        command.Add(Arch);
    }

    /// <summary>Refuses what makes no sense, without looking for a card.</summary>
    public void Check(ParseResult parsed)
    {
        (string kind, _) = Kind(parsed);
        string dtype = parsed.GetValue(Dtype)!;
        if (dtype is not ("auto" or "fp32" or "bf16" or "fp16")) throw new UsageException($"--dtype {dtype}: expected auto, fp32, bf16 or fp16");
        if (parsed.GetResult(Arch) is { Implicit: false } && !CudaDevice.Architectures.Contains(parsed.GetValue(Arch)))
            throw new UsageException($"--arch {parsed.GetValue(Arch)} is unknown; choose {Known}");
        if (kind != "cpu") return;
        if (dtype is not ("auto" or "fp32")) throw new UsageException($"--dtype {dtype}: the CPU computes in fp32; use auto or fp32");
        if (parsed.GetValue(Arch) != 0) throw new UsageException("--arch chooses among a card's kernels; it does nothing on the CPU");
    }

    /// <summary>Opens the device; <c>auto</c> is the first card, or the CPU where there is none that can be used.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="threads">Of the CPU; 0 for <see cref="EnvironmentVariables.Threads"/>.</param>
    public Device Open(ParseResult parsed, int threads = 0)
    {
        Check(parsed);
        (string kind, int ordinal) = Kind(parsed);
        if (kind == "cpu" || (kind == "auto" && CudaDevice.WhyUnusable is not null)) return OpenCpu(parsed, threads > 0 ? threads : EnvironmentVariables.Threads);
        return CudaDevice.Open(ordinal, parsed.GetValue(Arch), PrecisionOf(parsed), KernelCache.Default(Console.Error.WriteLine));
    }

    /// <summary>Says on stderr, once, that <c>auto</c> came to the CPU although there is a driver: somebody may wait for a card's speed. Without one there is no card to miss.</summary>
    public void TellUnusableCard(ParseResult parsed)
    {
        if (_hasTold || parsed.GetValue(Device) != "auto" || !CudaDevice.HasDriver || CudaDevice.WhyUnusable is not { } reason) return;
        _hasTold = true;
        Console.Error.WriteLine($"--device auto means the CPU here: {reason}");
    }

    /// <summary>Arithmetic that was asked of a card; null for its own.</summary>
    public CudaPrecision? PrecisionOf(ParseResult parsed) => parsed.GetValue(Dtype) switch
    {
        "fp32" => CudaPrecision.Float32,
        "bf16" => CudaPrecision.BFloat16,
        "fp16" => CudaPrecision.Float16,
        _ => null,
    };

    private CpuDevice OpenCpu(ParseResult parsed, int threads)
    {
        // With auto, the CPU is where we ended up: what was asked of a card is now asked of it.
        if (parsed.GetValue(Dtype) is { } dtype and not ("auto" or "fp32")) throw new UsageException($"--dtype {dtype}: the CPU computes in fp32, and {CudaDevice.WhyUnusable}");
        if (parsed.GetValue(Arch) != 0) throw new UsageException($"--arch: {CudaDevice.WhyUnusable}");
        TellUnusableCard(parsed);
        return new CpuDevice(threads);
    }

    private (string Kind, int Ordinal) Kind(ParseResult parsed)
    {
        string text = parsed.GetValue(Device)!;
        if (text is "auto" or "cpu" or "cuda") return (text, 0);
        return text.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(text[5..], NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal)
            ? ("cuda", ordinal)
            : throw new UsageException($"--device {text}: expected auto, cpu or cuda[:N]");
    }
}
