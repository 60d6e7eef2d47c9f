using System.Globalization;
using GemmaCore.Tensors;

namespace GemmaCore.Cuda;

/// <summary>
/// Whether a card of compute capability 7.5 has tensor cores. The driver does not say: without them mma is emulated, right but slower than plain arithmetic
/// (kernels.md §0.2). Known names decide at once; another card is timed once, and the verdict is kept beside its kernels.
/// </summary>
internal static class TensorCores
{
    // llama.cpp tells these apart by name as well.
    private static readonly string[] Without = ["GTX 16", "MX450", "MX550", "T400", "T500", "T550", "T600", "T1000", "T1200", "Quadro T"];
    private static readonly string[] With = ["Tesla T4", "GeForce RTX", "Quadro RTX", "TITAN RTX"];

    private const int Steps = 4000, ProbeThreads = 128;

    private static readonly CudaKernel MmaProbe = new("tensor_core_probe.cu", "tensor_core_probe_mma"), FmaProbe = new("tensor_core_probe.cu", "tensor_core_probe_fma");

    /// <summary>What capability and name say; null when they do not.</summary>
    public static bool? ByName(int capability, string name)
    {
        if (capability >= 80) return true;
        if (Without.Any(part => name.Contains(part, StringComparison.Ordinal))) return false;
        return With.Any(part => name.Contains(part, StringComparison.Ordinal)) ? true : null;
    }

    /// <summary>Verdict on the times of the same number of multiply-adds by mma and by fp32 instructions.</summary>
    /// <remarks>
    /// kernels.md asks for twice the rate of half arithmetic, which is twice that of fp32. With tensor cores it is eightfold, without them below one.
    /// </remarks>
    public static bool FromTimes(float mma, float fma) => mma > 0 && fma >= 4 * mma;

    /// <summary>An earlier verdict on this card under this driver.</summary>
    public static bool? Remembered(CudaCard card, KernelCache cache)
    {
        try
        {
            return PathOf(card, cache) is { } path ? File.ReadAllText(path) switch { "yes" => true, "no" => false, _ => null } : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Keeps a verdict; where nothing can be written, the next start measures again.</summary>
    public static void Remember(CudaCard card, KernelCache cache, bool verdict)
    {
        if (PathOf(card, cache) is not { } path) return;
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            Directory.CreateDirectory(cache.Folder!);
            File.WriteAllText(temporary, verdict ? "yes" : "no");
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The kernels' own entries meet the same problem, and say so.
        }
    }

    /// <summary>Times both loops on the card, a few milliseconds after their compilation.</summary>
    public static (float Mma, float Fma) Measure(CudaDevice device, int steps = Steps)
    {
        var grid = new LaunchGrid(device.MultiprocessorCount, ProbeThreads);
        return (Best(device, MmaProbe, grid, steps), Best(device, FmaProbe, grid, steps));
    }

    // The first run loads the kernel and wakes the card.
    private static float Best(CudaDevice device, CudaKernel kernel, LaunchGrid grid, int steps)
    {
        Arena.Mark mark = device.Scratch.Position;
        TensorView sums = device.Scratch.Take(new Shape(grid.X * grid.Threads));
        float best = float.PositiveInfinity;
        for (int i = 0; i < 4; i++)
        {
            float time = device.Time(kernel, grid, sums, steps);
            if (i > 0) best = Math.Min(best, time);
        }

        device.Scratch.Rewind(mark);
        return best;
    }

    private static string? PathOf(CudaCard card, KernelCache cache) => cache.Folder is null
        ? null
        : Path.Combine(cache.Folder, string.Create(CultureInfo.InvariantCulture, $"tensor_cores.{card.Uuid}.{CudaDriver.Instance.Version}.txt"));
}
