using System.Diagnostics;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>Times one operation at a time and prints it beside the machine's limits.</summary>
public sealed class Stopclock(CpuDevice device, MachinePeaks peaks)
{
    private const double SecondsPerCase = 0.5;
    private const int WarmUps = 40;

    public CpuDevice Device => device;

    public static void Heading(string operation) =>
        Console.WriteLine($"\n| {operation} | min µs | median | max | GB/s | of read peak | GFLOP/s | of FMA peak |\n|---|---:|---:|---:|---:|---:|---:|---:|");

    /// <param name="name">First column.</param>
    /// <param name="bytes">Bytes that must move.</param>
    /// <param name="flops">Operations that must be done.</param>
    /// <param name="action">One call; given the number of the call, so that it can take turns between copies of an operand.</param>
    public void Time(string name, double bytes, double flops, Action<int> action)
    {
        // Tier-0 code counts 30 calls before it is compiled again in the background.
        for (int i = 0; i < WarmUps; i++) action(i);
        Thread.Sleep(150);
        for (int i = 0; i < 4; i++) action(i);
        var micros = new List<double>();
        long begin = Stopwatch.GetTimestamp();
        while (micros.Count < 12 || Stopwatch.GetElapsedTime(begin).TotalSeconds < SecondsPerCase)
        {
            long start = Stopwatch.GetTimestamp();
            action(micros.Count);
            micros.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        micros.Sort();
        double median = micros[micros.Count / 2], rate = bytes / median / 1e3, speed = flops / median / 1e3;
        Console.WriteLine(
            $"| {name} | {micros[0]:F1} | {median:F1} | {micros[^1]:F1} | {rate:F1} | {rate / peaks.ReadGigabytesPerSecond:P0} | " +
            $"{speed:F0} | {speed / peaks.GigaflopsPerSecond:P0} |");
    }

    /// <summary>A result that is wrong is not worth timing.</summary>
    public static void Verify(string name, double error, double tolerance)
    {
        if (!(error <= tolerance)) throw new InvalidOperationException($"{name}: relative error {error:E2} is above {tolerance:E2}; not timed");
    }
}
