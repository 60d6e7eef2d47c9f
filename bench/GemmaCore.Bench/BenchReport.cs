using System.Text.Json;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>Prints figures as a table, or as one JSON object a line, which tools/gpu/table.sh joins with those of other libraries.</summary>
public sealed class BenchReport(bool json, Device device, MachinePeaks peaks)
{
    private string _operation = "";

    /// <summary>The machine and what it can do.</summary>
    public void Start()
    {
        if (!json) Console.WriteLine(peaks);
        else Line(new { library = "gemmacore", machine = peaks.ToString(), device = device.Name, gigabytes_per_second = peaks.GigabytesPerSecond, gigaflops_per_second = peaks.GigaflopsPerSecond });
    }

    public void Heading(string operation)
    {
        _operation = operation;
        if (!json) Console.WriteLine($"\n| {operation} | min µs | median | max | GB/s | of {peaks.Bandwidth} | GFLOP/s | of {peaks.Arithmetic} |\n|---|---:|---:|---:|---:|---:|---:|---:|");
    }

    public void Row(string shape, double min, double median, double max, double rate, double rateShare, double speed, double speedShare)
    {
        if (!json) Console.WriteLine($"| {shape} | {min:F1} | {median:F1} | {max:F1} | {rate:F1} | {rateShare:P0} | {speed:F0} | {speedShare:P0} |");
        else Line(new { library = "gemmacore", operation = _operation, shape, min_us = min, median_us = median, max_us = max, gbs = rate, gbs_share = rateShare, gflops = speed, gflops_share = speedShare });
    }

    public void ModelHeading(string model)
    {
        _operation = model;
        if (!json) Console.WriteLine($"\n| {model} | min | median | max | of the limit | allocated per token |\n|---|---:|---:|---:|---:|---:|");
    }

    /// <summary>A figure of a whole model, in the unit that its name says.</summary>
    public void ModelRow(string what, double min, double median, double max, string limit, string note)
    {
        if (!json) Console.WriteLine($"| {what} | {min:F1} | {median:F1} | {max:F1} | {limit} | {note} |");
        else Line(new { library = "gemmacore", operation = _operation, shape = what, min, median, max, limit, note });
    }

    private static void Line(object figures) => Console.WriteLine(JsonSerializer.Serialize(figures));
}
