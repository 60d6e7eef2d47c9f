using System.Diagnostics;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>What a card can do: a copy within its memory, and products on the units its precision path uses.</summary>
internal static class CardPeaks
{
    private const int Threads = 128, BlocksOfAMultiprocessor = 8, Chains = 8;

    // Without a type the kernel measures fp32 multiply-adds.
    private static readonly CudaKernel Plain = new("machine_peak.cu", "machine_peak_forward"),
        Half = new("machine_peak.cu", "machine_peak_forward", "-DCOMPUTE=half"), BFloat = new("machine_peak.cu", "machine_peak_forward", "-DCOMPUTE=bfloat16");

    public static MachinePeaks Measure(CudaDevice card, bool tiny)
    {
        int elements = tiny ? 1 << 12 : 256 << 20, steps = tiny ? 2 : 1 << 13;
        double copySeconds;
        using (DeviceBuffer from = DeviceBuffer.Zeros(card, new Shape(elements)), to = DeviceBuffer.Zeros(card, new Shape(elements)))
            copySeconds = Best(card, tiny, () => card.Copy(from.View, to.View));

        int blocks = tiny ? 1 : card.MultiprocessorCount * BlocksOfAMultiprocessor;
        using DeviceBuffer sums = DeviceBuffer.Zeros(card, new Shape(blocks, Threads));
        CudaKernel kernel = card.Precision switch { CudaPrecision.Float32 => Plain, CudaPrecision.Float16 => Half, _ => BFloat };
        double seconds = Best(card, tiny, () => card.Launch(kernel, new LaunchGrid(blocks, threads: Threads), sums.View, steps));
        // m16n8k16 is 4096 operations of a warp; the fp32 form does 2 a thread for each of the four sums that a thread of the other holds.
        double operations = (double)blocks * steps * Chains * (card.Precision == CudaPrecision.Float32 ? Threads * 8.0 : Threads / 32 * 4096.0);
        string name = $"{card.Card.Name}, {card.MultiprocessorCount} multiprocessors, {card.PrecisionPath}";
        return new MachinePeaks(name, 8.0 * elements / copySeconds / 1e9, operations / seconds / 1e9) { Bandwidth = "copy", Arithmetic = "product peak" };
    }

    private static double Best(CudaDevice card, bool tiny, Action action)
    {
        double best = double.MaxValue;
        for (int i = 0; i < (tiny ? 2 : 12); i++)
        {
            card.Synchronize();
            long start = Stopwatch.GetTimestamp();
            action();
            card.Synchronize();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }
}
