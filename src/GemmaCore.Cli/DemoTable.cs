using System.Globalization;
using Spectre.Console;

namespace GemmaCore.Cli;

/// <summary>The demo's last words: the table before and after, one answer, and what to type next.</summary>
internal static class DemoTable
{
    /// <param name="report">What the demo found.</param>
    /// <param name="folder">Where its adapter is.</param>
    /// <param name="held">The flags that say how the base holds its weights, each after a space: an adapter is to be tried on the base it was trained on.</param>
    public static void Write(DemoReport report, string folder, string held)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("data set", "metric");
        foreach (string number in (string[])["rows", "before", "after"]) table.AddColumn(new TableColumn(number).RightAligned());
        table.AddColumn("");
        foreach (DemoTask task in report.Tasks.OrderByDescending(task => task.Trained).ThenBy(task => task.Dataset, StringComparer.Ordinal))
        {
            table.AddRow(
                task.Dataset, task.Metric, task.Rows.ToString(CultureInfo.InvariantCulture), Number(task.Before), Number(task.After), task.Trained ? "trained" : "");
        }

        TerminalTable.Write(table);
        if (report.Smoke)
        {
            Console.WriteLine(
                $"smoke: only {report.Tasks.Sum(task => task.Rows)} questions and {report.Steps} training steps, to see that everything runs; the scores mean nothing");
        }

        DemoTask[] trained = [.. report.Tasks.Where(task => task is { Trained: true, Metric: "exact_match" })];
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"mean of the trained tasks: {trained.Average(task => task.Before):F3} before, {trained.Average(task => task.After):F3} after"));
        Console.WriteLine("the adapter was trained on those two tasks only; what the other tasks lose is shown above");
        Console.WriteLine();
        Console.WriteLine($"{report.Sample.Image}: {report.Sample.Question}");
        Console.WriteLine($"  right answer {report.Sample.Reference}; before: {report.Sample.Before}; after: {report.Sample.After}");
        Console.WriteLine();
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.TotalSeconds:F1} s ({report.BeforeSeconds:F1} evaluate, {report.TrainSeconds:F1} train, {report.AfterSeconds:F1} evaluate), peak memory {report.PeakMemoryBytes / 1e6:F0} MB"));
        Console.WriteLine($"written: {folder}/adapter_model.safetensors, training_loss.png, report.json");
        Console.WriteLine("next:");
        Console.WriteLine($"  gemmacore generate demo --adapter {folder}{held} --prompt \"{report.Sample.Question}\" --image {report.Sample.Image}");
        Console.WriteLine($"  gemmacore chat demo --adapter {folder}{held}");
        Console.WriteLine("  gemmacore train configs/demo.yaml");
    }

    private static string Number(double value) => value.ToString("F3", CultureInfo.InvariantCulture);
}
