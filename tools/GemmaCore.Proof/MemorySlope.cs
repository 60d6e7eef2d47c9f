using System.Diagnostics;

namespace GemmaCore.Proof;

/// <summary>How the process's memory grows: a straight line through samples, those of the first third left out, when buffers and caches still grow.</summary>
internal sealed class MemorySlope
{
    private const double BytesPerMinute = 2 << 20;

    private readonly List<(double Minutes, double Resident, double Managed)> _samples = [];

    /// <summary>True when managed or resident memory grows by more than 2 MiB a minute over the last two thirds.</summary>
    public bool Leaks => _samples.Count >= 10 && (Slope(sample => sample.Managed) > BytesPerMinute || Slope(sample => sample.Resident) > BytesPerMinute);

    public async Task WatchAsync(CancellationToken end)
    {
        var clock = Stopwatch.StartNew();
        while (!end.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromSeconds(2), CancellationToken.None).ConfigureAwait(false);
            using Process process = Process.GetCurrentProcess();
            _samples.Add((clock.Elapsed.TotalMinutes, process.WorkingSet64, GC.GetTotalMemory(forceFullCollection: true)));
        }
    }

    public void Print()
    {
        if (_samples.Count < 10) return;
        Console.WriteLine($"\nMemory over the last two thirds, {_samples.Count} samples, a collection before each: resident {_samples[^1].Resident / 1e6:0.0} MB at the end, "
            + $"{Slope(sample => sample.Resident) / 1e6:+0.00;-0.00} MB a minute; managed {_samples[^1].Managed / 1e6:0.0} MB, {Slope(sample => sample.Managed) / 1e6:+0.00;-0.00} MB a minute.");
    }

    private double Slope(Func<(double Minutes, double Resident, double Managed), double> value)
    {
        var later = _samples.Skip(_samples.Count / 3).ToList();
        double meanX = later.Average(sample => sample.Minutes), meanY = later.Average(value);
        return later.Sum(sample => (sample.Minutes - meanX) * (value(sample) - meanY)) / later.Sum(sample => Math.Pow(sample.Minutes - meanX, 2));
    }
}
