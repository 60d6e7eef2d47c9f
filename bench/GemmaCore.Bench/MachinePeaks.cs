using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>What this machine can do on all threads of a device: the limits other figures are compared with.</summary>
public sealed unsafe record MachinePeaks(string Machine, double GigabytesPerSecond, double GigaflopsPerSecond)
{
    // Far beyond a second-level cache; a large last-level cache may still hold part of it, which the note in the results says.
    private const long ReadBytes = 512L << 20;
    private const int Chunks = 64, FloatsOfStep = 64, FmaSteps = 1 << 20;

    /// <summary>What the bandwidth is that of.</summary>
    public string Bandwidth { get; init; } = "read peak";

    /// <summary>What the operations are those of.</summary>
    public string Arithmetic { get; init; } = "FMA peak";

    /// <summary>Last-level cache, from which weights may come faster; 0 where it is not known.</summary>
    public long CacheBytes { get; init; }

    /// <summary>Measures the device; two seconds at most.</summary>
    /// <param name="device">A CPU, or a card.</param>
    /// <param name="tiny">Of a card: its smallest shapes, whose figures mean nothing.</param>
    public static MachinePeaks Measure(Device device, bool tiny = false) => device is CudaDevice card ? CardPeaks.Measure(card, tiny) : Measure((CpuDevice)device);

    private static MachinePeaks Measure(CpuDevice device)
    {
        // A container may have less room than that.
        long chunkBytes = Math.Min(ReadBytes, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4) / Chunks / (FloatsOfStep * sizeof(float)) * (FloatsOfStep * sizeof(float)), bytes = chunkBytes * Chunks;
        void* memory = NativeMemory.AlignedAlloc((nuint)bytes, 64);
        NativeMemory.Fill(memory, (nuint)bytes, 1);
        var read = new ReadWork { Memory = (float*)memory, ChunkFloats = chunkBytes / sizeof(float) };
        double readSeconds = Best(() => device.Workers.Run(ref read, Chunks));
        read.TwoStreams = true;
        readSeconds = Math.Min(readSeconds, Best(() => device.Workers.Run(ref read, Chunks)));
        NativeMemory.AlignedFree(memory);
        var fma = default(FmaWork);
        int parts = device.Workers.ThreadCount * 4;
        double fmaSeconds = Best(() => device.Workers.Run(ref fma, parts));
        double flops = 2.0 * parts * FmaSteps * FmaWork.MultiplyAddsPerStep;
        return new MachinePeaks($"{Name()}, {device.Workers.ThreadCount} threads", bytes / readSeconds / 1e9, flops / fmaSeconds / 1e9) { CacheBytes = LastLevelCache() };
    }

    public override string ToString() =>
        $"{Machine}: {Bandwidth} {GigabytesPerSecond:F1} GB/s, {Arithmetic} {GigaflopsPerSecond:F0} GFLOP/s, " +
        $"{DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC, .NET {Environment.Version}";

    // Seconds of the fastest round; no more rounds once several have brought nothing.
    private static double Best(Action action)
    {
        const int most = 12, without = 4;
        double best = double.MaxValue;
        for (int i = 0, last = 0; i < most && i - last <= without; i++)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (seconds < 0.99 * best) last = i;
            best = Math.Min(best, seconds);
        }

        return best;
    }

    // Linux says the sizes in KiB, one file a level.
    private static long LastLevelCache()
    {
        const string folder = "/sys/devices/system/cpu/cpu0/cache";
        if (!Directory.Exists(folder)) return 0;
        IEnumerable<string> sizes = Directory.EnumerateDirectories(folder, "index*").Select(level => Path.Combine(level, "size")).Where(File.Exists).Select(File.ReadAllText);
        return sizes.Select(size => long.TryParse(size.Trim().TrimEnd('K'), out long kibibytes) ? kibibytes << 10 : 0).DefaultIfEmpty().Max();
    }

    private static string Name()
    {
        const string file = "/proc/cpuinfo";
        string? line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal)) : null;
        string[] facts = File.Exists(file)
            ? [.. File.ReadLines(file).Where(l => l.StartsWith("cpu family", StringComparison.Ordinal) || l.StartsWith("model\t", StringComparison.Ordinal)).Take(2)]
            : [];
        return (line ?? "unknown processor").Split(':')[^1].Trim() + string.Concat(facts.Select(f => " " + f.Replace("\t", "", StringComparison.Ordinal)));
    }

    private struct ReadWork : IWork
    {
        public float* Memory;
        public long ChunkFloats;

        /// <summary>One stream a core, or the two halves of a chunk side by side, as products with few rows read weights: which is faster depends on the processor.</summary>
        public bool TwoStreams;

        public readonly void Execute(int index)
        {
            float* p = Memory + (ChunkFloats * index);
            long apart = TwoStreams ? ChunkFloats / 2 : FloatsOfStep / 2, advance = TwoStreams ? FloatsOfStep / 2 : FloatsOfStep;
            Vector512<float> a = Vector512<float>.Zero, b = a, c = a, d = a;
            for (long step = ChunkFloats / FloatsOfStep; step > 0; step--, p += advance)
            {
                a += Vector512.Load(p);
                b += Vector512.Load(p + 16);
                c += Vector512.Load(p + apart);
                d += Vector512.Load(p + apart + 16);
            }

            Keep(Vector512.Sum(a + b + (c + d)));
        }
    }

    // As many chains as hide the latency of a multiply-add and fit into the registers: sixteen where there are 32 registers of 512 bits, twelve where there are 16 of 256.
    private struct FmaWork : IWork
    {
        public static int MultiplyAddsPerStep => Vector512.IsHardwareAccelerated ? 16 * Vector512<float>.Count : 12 * Vector256<float>.Count;

        public readonly void Execute(int index)
        {
            if (Vector512.IsHardwareAccelerated) Sixteen(0.001f + index);
            else Twelve(0.001f + index);
        }

        private static void Sixteen(float start)
        {
            Vector512<float> m = Vector512.Create(0.999f), n = Vector512.Create(start);
            Vector512<float> a = n, b = n, c = n, d = n, e = n, f = n, g = n, h = n, i = n, j = n, k = n, l = n, o = n, p = n, q = n, r = n;
            for (int step = 0; step < FmaSteps; step++)
            {
                a = Vector512.FusedMultiplyAdd(a, m, n);
                b = Vector512.FusedMultiplyAdd(b, m, n);
                c = Vector512.FusedMultiplyAdd(c, m, n);
                d = Vector512.FusedMultiplyAdd(d, m, n);
                e = Vector512.FusedMultiplyAdd(e, m, n);
                f = Vector512.FusedMultiplyAdd(f, m, n);
                g = Vector512.FusedMultiplyAdd(g, m, n);
                h = Vector512.FusedMultiplyAdd(h, m, n);
                i = Vector512.FusedMultiplyAdd(i, m, n);
                j = Vector512.FusedMultiplyAdd(j, m, n);
                k = Vector512.FusedMultiplyAdd(k, m, n);
                l = Vector512.FusedMultiplyAdd(l, m, n);
                o = Vector512.FusedMultiplyAdd(o, m, n);
                p = Vector512.FusedMultiplyAdd(p, m, n);
                q = Vector512.FusedMultiplyAdd(q, m, n);
                r = Vector512.FusedMultiplyAdd(r, m, n);
            }

            Keep(Vector512.Sum(a + b + c + d + (e + f + g + h) + (i + j + k + l) + (o + p + q + r)));
        }

        private static void Twelve(float start)
        {
            Vector256<float> m = Vector256.Create(0.999f), n = Vector256.Create(start);
            Vector256<float> a = n, b = n, c = n, d = n, e = n, f = n, g = n, h = n, i = n, j = n, k = n, l = n;
            for (int step = 0; step < FmaSteps; step++)
            {
                a = Vector256.FusedMultiplyAdd(a, m, n);
                b = Vector256.FusedMultiplyAdd(b, m, n);
                c = Vector256.FusedMultiplyAdd(c, m, n);
                d = Vector256.FusedMultiplyAdd(d, m, n);
                e = Vector256.FusedMultiplyAdd(e, m, n);
                f = Vector256.FusedMultiplyAdd(f, m, n);
                g = Vector256.FusedMultiplyAdd(g, m, n);
                h = Vector256.FusedMultiplyAdd(h, m, n);
                i = Vector256.FusedMultiplyAdd(i, m, n);
                j = Vector256.FusedMultiplyAdd(j, m, n);
                k = Vector256.FusedMultiplyAdd(k, m, n);
                l = Vector256.FusedMultiplyAdd(l, m, n);
            }

            Keep(Vector256.Sum(a + b + c + d + (e + f + g + h) + (i + j + k + l)));
        }
    }

    // A result nobody reads would let the compiler drop the loop.
    private static void Keep(float value)
    {
        if (value == 12345.678f) Console.Error.Write("");
    }
}
