using System.Globalization;
using System.Text;
using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>Prints figures as Markdown tables, or as one JSON object a line, which tools/gpu/run.sh joins with those of other libraries; and keeps them as CSV.</summary>
/// <param name="json">JSON lines.</param>
/// <param name="csvPath">File of <see cref="Save"/>; null for none.</param>
/// <param name="device">Where.</param>
/// <param name="peaks">What figures are compared with.</param>
public sealed class BenchReport(bool json, string? csvPath, Device device, MachinePeaks peaks)
{
    private readonly StringBuilder _csv = new("machine,operation,shape,unit,min,median,max,gb_per_s,bandwidth_share,gflop_per_s,arithmetic_share\n");
    private string _operation = "";

    /// <summary>The machine and what it can do.</summary>
    public void Start()
    {
        if (!json) Console.WriteLine(peaks);
        else Line(new { library = "gemmacore", machine = peaks.ToString(), device = device.Name, gigabytes_per_second = peaks.GigabytesPerSecond, gigaflops_per_second = peaks.GigaflopsPerSecond });
        Save(); // a path that cannot be written is found before the work
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
        Keep(shape, "us", min, median, max, string.Create(CultureInfo.InvariantCulture, $"{rate:G6},{rateShare:G4},{speed:G6},{speedShare:G4}"));
    }

    public void ModelHeading(string model)
    {
        _operation = model;
        if (!json) Console.WriteLine($"\n| {model} | min | median | max | of the limit | allocated per token |\n|---|---:|---:|---:|---:|---:|");
    }

    /// <summary>A figure of a whole model.</summary>
    public void ModelRow(string what, string unit, double min, double median, double max, string limit, string note)
    {
        if (!json) Console.WriteLine($"| {what}, {unit} | {min:F1} | {median:F1} | {max:F1} | {limit} | {note} |");
        else Line(new { library = "gemmacore", operation = _operation, shape = $"{what}, {unit}", min, median, max, limit, note });
        Keep(what, unit, min, median, max, ",,,");
    }

    /// <summary>Writes the figures so far, so that a run that is stopped leaves what it has measured.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Save()
    {
        if (csvPath is not null) AtomicFile.WriteAllText(csvPath, _csv.ToString());
    }

    private void Keep(string shape, string unit, double min, double median, double max, string shares) => _csv.Append(
        CultureInfo.InvariantCulture, $"{Quoted(peaks.Machine)},{Quoted(_operation)},{Quoted(shape)},{unit},{min:G6},{median:G6},{max:G6},{shares}\n");

    private static string Quoted(string text) => $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static void Line(object figures) => Console.WriteLine(JsonSerializer.Serialize(figures));
}
