using System.Diagnostics;
using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Bench;

/// <summary>Times one operation at a time and prints it beside the machine's limits.</summary>
/// <param name="device">Where.</param>
/// <param name="peaks">Its limits.</param>
/// <param name="tiny">Smallest shapes and few calls: shows that everything runs, its figures mean nothing.</param>
/// <param name="report">Takes the figures.</param>
/// <param name="cancellation">Stops before the next case.</param>
public sealed class Stopclock(Device device, MachinePeaks peaks, bool tiny, BenchReport report, CancellationToken cancellation)
{
    private const double SecondsPerCase = 0.5, SecondsPerBatch = 2e-3;
    private const int WarmUps = 40, CardWarmUps = 5, MostCallsOfABatch = 200, CardSamples = 20, RandomValues = 4_000_037;
    private const long MostVerified = 4 << 20;

    private static int s_batches;

    public Device Device => device;

    public MachinePeaks Peaks => peaks;

    public bool Tiny => tiny;

    public BenchReport Report => report;

    /// <summary>Relative error that rounding the operands of a matrix product may add on this device.</summary>
    public double Rounding => 4 * Tolerance.MatrixUnit(device);

    /// <exception cref="OperationCanceledException">The user has had enough.</exception>
    public void Continue() => cancellation.ThrowIfCancellationRequested();

    public void Heading(string operation) => report.Heading(operation);

    /// <summary>The shapes for this device.</summary>
    public T[] Choose<T>(T[] cpu, T[] card, T[] small) => tiny ? small : device is CudaDevice ? card : cpu;

    /// <summary>False for results whose reference in fp64 would take longer than the benchmark; every list of a card's shapes starts with one that is true.</summary>
    public static bool Verifies(double products) => products <= MostVerified;

    public DeviceBuffer Ints(params ReadOnlySpan<int> values)
    {
        var buffer = new DeviceBuffer(device, new Shape(values.Length), DType.I32);
        device.CopyFromHost(MemoryMarshal.AsBytes(values), buffer.View);
        return buffer;
    }

    /// <summary>Random values; of very many, the first millions over and over, which a product cannot tell apart.</summary>
    public static float[] Floats(Sample sample, int count)
    {
        float[] some = sample.Floats(Math.Min(count, RandomValues));
        if (some.Length == count) return some;
        float[] all = new float[count];
        for (int at = 0; at < count; at += some.Length) some.AsSpan(0, Math.Min(some.Length, count - at)).CopyTo(all.AsSpan(at));
        return all;
    }

    /// <summary>A matrix stored as F32 or BF16.</summary>
    public DeviceBuffer Matrix(Shape shape, float[] values, DType type)
    {
        if (type == DType.F32) return DeviceBuffer.Of(device, shape, values);
        var buffer = new DeviceBuffer(device, shape, type);
        device.CopyFromHost(MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(values, BFloat16.FromSingle)), buffer.View);
        return buffer;
    }

    /// <param name="name">First column.</param>
    /// <param name="bytes">Bytes that must move.</param>
    /// <param name="flops">Operations that must be done.</param>
    /// <param name="action">One call; given the number of the call, so that it can take turns between copies of an operand.</param>
    public void Time(string name, double bytes, double flops, Action<int> action)
    {
        Continue();
        List<double> micros = device is CudaDevice card ? OnCard(card, action) : OnCpu(action);
        micros.Sort();
        double median = micros[micros.Count / 2], rate = bytes / median / 1e3, speed = flops / median / 1e3;
        report.Row(name, micros[0], median, micros[^1], rate, rate / peaks.GigabytesPerSecond, speed, speed / peaks.GigaflopsPerSecond);
    }

    /// <summary>A result that is wrong is not worth timing.</summary>
    public static void Verify(string name, double error, double tolerance)
    {
        if (!(error <= tolerance)) throw new InvalidOperationException($"{name}: relative error {error:E2} is above {tolerance:E2}; not timed");
    }

    private List<double> OnCpu(Action<int> action)
    {
        // Tier-0 code counts 30 calls before it is compiled again in the background.
        for (int i = 0; i < (tiny ? 1 : WarmUps); i++) action(i);
        if (!tiny) Thread.Sleep(150);
        for (int i = 0; i < (tiny ? 0 : 4); i++) action(i);
        var micros = new List<double>();
        long begin = Stopwatch.GetTimestamp();
        while (tiny ? micros.Count < 3 : micros.Count < 12 || Stopwatch.GetElapsedTime(begin).TotalSeconds < SecondsPerCase)
        {
            long start = Stopwatch.GetTimestamp();
            action(micros.Count);
            micros.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return micros;
    }

    // Wall time of enough calls between two synchronisations that what the synchronisation costs does not show; a sample is a batch's time per call.
    // A batch is replayed as one graph, as the engine replays a decoding step: launches one by one would hide what kernels of a few microseconds take.
    private List<double> OnCard(CudaDevice card, Action<int> action)
    {
        for (int i = 0; i < (tiny ? 1 : CardWarmUps); i++) action(i);
        double one = Batch(card, action, 1, null);
        int calls = tiny ? 1 : (int)Math.Clamp(SecondsPerBatch * 1e6 / one, 1, MostCallsOfABatch), key = ++s_batches;
        for (int i = 0; i < 2; i++) Batch(card, action, calls, key); // recorded, then captured
        var micros = new List<double>();
        long begin = Stopwatch.GetTimestamp();
        while (micros.Count < 3 || (!tiny && micros.Count < CardSamples && Stopwatch.GetElapsedTime(begin).TotalSeconds < SecondsPerCase))
            micros.Add(Batch(card, action, calls, key));
        return micros;
    }

    private static double Batch(CudaDevice card, Action<int> action, int calls, int? key)
    {
        card.Synchronize();
        long start = Stopwatch.GetTimestamp();
        if (key is { } repeatable) card.BeginRepeatable(repeatable);
        for (int i = 0; i < calls; i++) action(i);
        card.Synchronize();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds / calls;
    }
}
