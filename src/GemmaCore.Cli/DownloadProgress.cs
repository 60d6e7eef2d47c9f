using System.Diagnostics;
using System.Globalization;
using GemmaCore.Checkpoints.Hub;

namespace GemmaCore.Cli;

/// <summary>Tells how a download goes: a line a finished file, and on a terminal a line that moves in between.</summary>
internal sealed class DownloadProgress(TextWriter writer, bool bar)
{
    private static readonly TimeSpan RedrawInterval = TimeSpan.FromMilliseconds(200);

    private long _fileStart, _lastDrawn;
    private long _startBytes;
    private string _file = "";
    private int _drawnLength;

    public void Show(HubProgress moment)
    {
        if (moment.Note is { } note)
        {
            WriteLine(moment.File.Length > 0 && !note.Contains(moment.File, StringComparison.Ordinal) ? $"{moment.File}: {note}" : note);
            return;
        }

        if (moment.File != _file) (_file, _startBytes, _fileStart) = (moment.File, moment.Bytes, Stopwatch.GetTimestamp());
        if (moment.IsFinished)
        {
            WriteLine($"[{moment.FileIndex + 1}/{moment.FileCount}] {moment.File} {Size(moment.TotalBytes)}");
            _file = "";
        }
        else if (bar && Stopwatch.GetElapsedTime(_lastDrawn) > RedrawInterval)
        {
            _lastDrawn = Stopwatch.GetTimestamp();
            double rate = (moment.Bytes - _startBytes) / Math.Max(Stopwatch.GetElapsedTime(_fileStart).TotalSeconds, 1e-3);
            Draw($"[{moment.FileIndex + 1}/{moment.FileCount}] {moment.File} {Size(moment.Bytes)} of {Size(moment.TotalBytes)}, {Size((long)rate)}/s");
        }
    }

    private static string Size(long bytes) => bytes switch
    {
        < 1_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:0.0} kB"),
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.00} GB"),
    };

    private void WriteLine(string line)
    {
        Draw(line);
        writer.WriteLine();
        _drawnLength = 0;
    }

    // Spaces wipe what a longer line left.
    private void Draw(string line)
    {
        if (bar) writer.Write('\r');
        writer.Write(line.PadRight(_drawnLength));
        _drawnLength = bar ? line.Length : 0;
    }
}
