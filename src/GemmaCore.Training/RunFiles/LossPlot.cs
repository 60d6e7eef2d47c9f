using GemmaCore.Checkpoints;
using ScottPlot;

namespace GemmaCore.Training.RunFiles;

/// <summary><c>training_loss.png</c>: training loss over steps, and evaluation loss where there is one.</summary>
public static class LossPlot
{
    // A bare server has no fonts, and text would be left out in silence; so one travels with the program.
    private const string FontName = "DejaVu Sans";

    static LossPlot()
    {
        Fonts.AddFontFile(FontName, Path.Combine(AppContext.BaseDirectory, "Fonts", "DejaVuSans.ttf"), bold: false, italic: false);
        Fonts.Default = FontName;
    }

    /// <summary>Draws the plot.</summary>
    public static void Write(string path, IReadOnlyList<LogEntry> log)
    {
        ArgumentNullException.ThrowIfNull(log);
        using var plot = new Plot();
        LogEntry[] training = [.. log.Where(entry => entry.Loss is not null)], evaluation = [.. log.Where(entry => entry.EvalLoss is not null)];
        Add(plot, "training", [.. training.Select(entry => (double)entry.Step)], [.. training.Select(entry => entry.Loss!.Value)]);
        Add(plot, "evaluation", [.. evaluation.Select(entry => (double)entry.Step)], [.. evaluation.Select(entry => entry.EvalLoss!.Value)]);
        plot.Title("Loss");
        plot.XLabel("step");
        plot.YLabel("nats per token");
        plot.Font.Set(FontName);
        plot.Axes.Title.Label.Bold = false; // the one face that travels with the program is regular
        if (evaluation.Length > 0) plot.ShowLegend(Alignment.UpperRight); // where a falling loss leaves room
        else plot.HideLegend();
        AtomicFile.WriteAllBytes(path, plot.GetImageBytes(900, 520, ImageFormat.Png));
    }

    private static void Add(Plot plot, string name, double[] steps, double[] losses)
    {
        if (steps.Length == 0) return;
        ScottPlot.Plottables.Scatter line = plot.Add.ScatterLine(steps, losses);
        line.LegendText = name;
        line.LineWidth = 2;
    }
}
