using GemmaCore.Tensors;

namespace GemmaCore.Cuda;

public sealed unsafe partial class CudaDevice
{
    /// <summary>What <c>--arch</c> may be.</summary>
    public static IReadOnlyList<int> Architectures => CudaTarget.Architectures;

    /// <summary>Why the first card cannot be used, in one line with the remedy (no driver, no GPU, nothing to compile with); null when it can.</summary>
    public static string? WhyUnusable
    {
        get
        {
            if (CudaDriver.Instance.Reason is { } reason) return reason;
            try
            {
                _ = TargetOf(CudaTarget.Card(CudaCard.All(), 0));
                return null;
            }
            catch (CudaException error)
            {
                return error.Message;
            }
        }
    }

    /// <summary>There is a driver, so the machine has or had a card that somebody may expect to be used (<see cref="WhyUnusable"/>).</summary>
    public static bool HasDriver => CudaDriver.Instance.IsThere;

    /// <summary>What kernels are compiled for, in the compiler's words, e.g. <c>sm_86</c>, or <c>compute_75</c> for PTX that the driver translates.</summary>
    /// <exception cref="CudaException">Nothing can be compiled here, and nothing was built for this card; says what to install.</exception>
    public static string TargetOf(CudaCard card, int architecture = 0)
    {
        ArgumentNullException.ThrowIfNull(card);
        int target = architecture == 0 ? card.Capability : architecture;
        if (Nvrtc.Instance.Reason is not { } reason) return CudaTarget.Compiled(card.Capability, target, Nvrtc.Instance.NewestArchitecture, Nvrtc.Instance.KnowsWarpgroups);
        int built = CudaTarget.Prebuilt(card.Capability, target, PrebuiltKernels.Architectures);
        return built != 0 ? CudaTarget.MachineCode(built) : throw new CudaException(reason);
    }

    /// <summary>Opens a card.</summary>
    /// <param name="ordinal">N of <c>cuda:N</c>.</param>
    /// <param name="architecture">Compile for this compute capability × 10 (75, 80, 86, 89, 90) instead of the card's own; 0 for its own.</param>
    /// <param name="precision">Arithmetic; null for what the architecture is best at.</param>
    /// <param name="cache">Compiled kernels; null for the user's cache.</param>
    /// <exception cref="CudaException">There is no driver, no such card, or the card cannot do what is asked; the message says what to do.</exception>
    public static CudaDevice Open(int ordinal = 0, int architecture = 0, CudaPrecision? precision = null, KernelCache? cache = null)
    {
        CudaDriver driver = CudaDriver.Instance;
        driver.Require();
        CudaCard card = CudaTarget.Card(CudaCard.All(), ordinal);
        string name = $"cuda:{ordinal} ({card.Name})";
        int target = CudaTarget.Architecture(card.Capability, architecture, name);
        _ = TargetOf(card, target);
        cache ??= KernelCache.Default();
        if (precision == CudaPrecision.Float32) return new CudaDevice(driver, card, target, CudaPrecision.Float32, cache);
        CudaPrecision natural = CudaCard.PrecisionFor(target, card.HasTensorCores(cache) ?? MeasureTensorCores(driver, card, target, cache));
        if (precision is { } asked) Require(asked, natural, name, target);
        return new CudaDevice(driver, card, target, natural, cache);
    }

    /// <summary>A card that computes nothing (<see cref="Device.IsRehearsal"/>): its addresses lead nowhere, and no driver is asked.</summary>
    /// <param name="card">What it is like; one of this machine or of <see cref="CudaCard.Known"/>.</param>
    /// <param name="architecture">As for <see cref="Open"/>.</param>
    /// <param name="precision">Arithmetic; null for what the architecture is best at.</param>
    /// <exception cref="CudaException">The card cannot do what is asked.</exception>
    public static CudaDevice Rehearsal(CudaCard card, int architecture = 0, CudaPrecision? precision = null)
    {
        ArgumentNullException.ThrowIfNull(card);
        int target = CudaTarget.Architecture(card.Capability, architecture, card.Name);
        CudaPrecision natural = CudaCard.PrecisionFor(target, TensorCores.ByName(card.Capability, card.Name) ?? true);
        if (precision is { } asked && asked != CudaPrecision.Float32) Require(asked, natural, card.Name, target);
        return new CudaDevice(card, target, precision ?? natural);
    }

    /// <inheritdoc/>
    public override Device OpenRehearsal() => Rehearsal(Card, Architecture, Precision);

    private static bool MeasureTensorCores(CudaDriver driver, CudaCard card, int architecture, KernelCache cache)
    {
        using var device = new CudaDevice(driver, card, architecture, CudaPrecision.Float32, cache);
        (float mma, float fma) = TensorCores.Measure(device);
        bool verdict = TensorCores.FromTimes(mma, fma);
        TensorCores.Remember(card, cache, verdict);
        return verdict;
    }

    private static void Require(CudaPrecision asked, CudaPrecision natural, string card, int architecture)
    {
        if (asked == natural) return;
        string can = Flag(natural);
        throw new CudaException($"{card} computes in {can} for sm_{architecture}, not in {Flag(asked)}; use auto{(natural == CudaPrecision.Float32 ? "" : $", {can}")} or fp32");
    }

    // As --dtype has it.
    private static string Flag(CudaPrecision precision) => precision switch
    {
        CudaPrecision.Float32 => "fp32",
        CudaPrecision.Float16 => "fp16",
        _ => "bf16",
    };
}
