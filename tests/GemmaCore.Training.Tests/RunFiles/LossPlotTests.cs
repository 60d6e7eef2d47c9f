using GemmaCore.Training.RunFiles;
using SkiaSharp;

namespace GemmaCore.Training.Tests.RunFiles;

public sealed class LossPlotTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-plot-").FullName;

    [Fact]
    public void The_plot_shows_a_curve_and_letters()
    {
        string path = Path.Combine(_folder, "training_loss.png");
        LossPlot.Write(path, [.. Enumerable.Range(1, 40).Select(step => new LogEntry(step, step / 40.0, 3.0 / step, 1, 1e-3, null)), new LogEntry(20, 0.5, null, null, null, 0.4)]);
        using SKBitmap picture = SKBitmap.Decode(path);
        Assert.True(picture is { Width: >= 600, Height: >= 300 });
        int coloured = 0, darkInTitle = 0;
        for (int y = 0; y < picture.Height; y++)
        {
            for (int x = 0; x < picture.Width; x++)
            {
                SKColor pixel = picture.GetPixel(x, y);
                if (Math.Abs(pixel.Red - pixel.Blue) > 60) coloured++;
                if (y < picture.Height / 20 && pixel.Red < 100) darkInTitle++;
            }
        }

        Assert.True(coloured > 200, "no curve is drawn");
        Assert.True(darkInTitle > 30, "the title has no letters: no font was found");
    }

    [Fact]
    public void An_empty_log_gives_an_empty_plot()
    {
        string path = Path.Combine(_folder, "empty.png");
        LossPlot.Write(path, []);
        Assert.True(new FileInfo(path).Length > 0);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
