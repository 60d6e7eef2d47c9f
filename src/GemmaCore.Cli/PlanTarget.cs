using System.CommandLine;
using GemmaCore.Bench;
using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Cli;

/// <summary>What a plan is made for: a device, here or imagined, and the memory it has.</summary>
/// <param name="Name">E.g. <c>cpu</c> or <c>Tesla T4</c>.</param>
/// <param name="Open">A rehearsal of it.</param>
/// <param name="MemoryBytes">Its memory, of an open device what is free; null where the plan knows no limit.</param>
/// <param name="DriverBytes">What the driver takes for itself.</param>
/// <param name="IsOpen">The driver has taken its share.</param>
internal sealed record PlanTarget(string Name, Func<Device> Open, long? MemoryBytes, long DriverBytes, bool IsOpen)
{
    /// <summary>What it can do at most: of this machine's CPU measured in a second, of a card as its data sheet has it; null for a card without one here.</summary>
    public MachinePeaks? Peaks()
    {
        using Device device = Open();
        if (device is CudaDevice cuda) return cuda.Card.Peak is { } peak ? DataSheet(cuda, peak) : null;
        using var here = new CpuDevice(EnvironmentVariables.Threads);
        MachinePeaks measured = MachinePeaks.Measure(here);
        return measured with { Bandwidth = $"{measured.Bandwidth} measured now", Arithmetic = $"{measured.Arithmetic} measured now" };
    }

    private static MachinePeaks DataSheet(CudaDevice cuda, CardPeak peak)
    {
        (double teraflops, string type) = cuda.Precision switch
        {
            CudaPrecision.Float32 => (peak.Float32Teraflops, "fp32"),
            CudaPrecision.Float16 => (peak.TensorTeraflops, "fp16"),
            _ => (peak.TensorTeraflops, "bf16"),
        };
        return new MachinePeaks(cuda.Card.Name, peak.GigabytesPerSecond, 1e3 * teraflops)
        {
            Bandwidth = "data sheet", Arithmetic = $"data sheet, {type}", CacheBytes = (long)peak.CacheMebibytes << 20,
        };
    }

    /// <summary>Context and compiled kernels of a program, by experience with CUDA 12: 200 to 300 MB (kernels.md §2.4).</summary>
    public const long CudaContextBytes = 256L << 20;

    /// <summary>What a plan may take: what was asked for, of what there is.</summary>
    /// <param name="asked">Bytes, the driver's share included; 0 for all there are.</param>
    public PlanRoom Room(long asked)
    {
        if (!IsOpen || MemoryBytes is not { } free) return new PlanRoom(asked > 0 ? Math.Min(asked, MemoryBytes ?? long.MaxValue) : MemoryBytes, DriverBytes);
        return asked > 0 && asked - DriverBytes < free - PlanRoom.OthersBytes ? new PlanRoom(asked, DriverBytes) : PlanRoom.Free(free);
    }

    /// <summary>The device that a run has opened.</summary>
    public static PlanTarget Of(Device device) => device is CudaDevice cuda
        ? new(cuda.Card.Name, device.OpenRehearsal, device.AvailableBytes, CudaContextBytes, IsOpen: true)
        : new("cpu", device.OpenRehearsal, null, 0, IsOpen: true);

    /// <summary>Makes plans of a model there.</summary>
    public Rehearsal Rehearse(Func<Device, ModelVariant, LanguageModel> load) => new(Open, load);
}

/// <summary>Options that say what to plan for.</summary>
internal sealed class PlanTargetOptions
{
    private readonly DeviceOptions _device = new();

    private readonly Option<string?> _card = new("--card") { Description = $"plan for a card that is not here: {string.Join(", ", CudaCard.Known.Keys)}" };

    private readonly Option<string?> _memory = new("--memory") { Description = "memory to stay within, e.g. 4GB or 3.4GiB; a card's own where nothing is said" };

    public void AddTo(Command command)
    {
        _device.AddTo(command);
        command.Add(_card);
        command.Add(_memory);
    }

    /// <summary>Bytes of <c>--memory</c>; 0 where it is not given.</summary>
    public long Memory(ParseResult parsed)
    {
        if (parsed.GetValue(_memory) is not { } text) return 0;
        try
        {
            return MemorySize.Parse(text, "--memory");
        }
        catch (ConfigurationException error)
        {
            throw new UsageException(error.Message);
        }
    }

    public PlanTarget Read(ParseResult parsed)
    {
        string device = parsed.GetValue(_device.Device)!;
        if (parsed.GetValue(_card) is not { } name)
        {
            _device.Check(parsed);
            if (device == "cpu" || (device == "auto" && CudaDevice.WhyUnusable is not null))
            {
                _device.TellUnusableCard(parsed);
                return PlanTarget.Of(CpuDevice.Host);
            }

            int ordinal = device.StartsWith("cuda:", StringComparison.Ordinal) ? int.Parse(device[5..], System.Globalization.CultureInfo.InvariantCulture) : 0;
            if (ordinal >= CudaCard.All().Count)
                throw new UsageException($"--device {device}: there is no such card here; name one to plan for with --card, one of {string.Join(", ", CudaCard.Known.Keys)}");
            // What is free, as a run would find it: others may be on the card.
            using Device card = _device.Open(parsed);
            return PlanTarget.Of(card);
        }

        if (device == "cpu") throw new UsageException("--card: --device cpu was given as well; leave one of the two out");
        return CudaCard.Known.TryGetValue(name, out CudaCard? known)
            ? Of(known, parsed)
            : throw new UsageException($"--card {name}: expected {string.Join(", ", CudaCard.Known.Keys)}");
    }

    private PlanTarget Of(CudaCard card, ParseResult parsed)
    {
        (int architecture, CudaPrecision? precision) = (parsed.GetValue(_device.Arch), _device.PrecisionOf(parsed));
        CudaDevice.Rehearsal(card, architecture, precision).Dispose(); // refuses what the card cannot do
        return new PlanTarget(card.Name, () => CudaDevice.Rehearsal(card, architecture, precision), card.MemoryBytes, PlanTarget.CudaContextBytes, IsOpen: false);
    }
}
