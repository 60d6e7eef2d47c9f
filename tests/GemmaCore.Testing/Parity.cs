using System.Text.Json;

namespace GemmaCore.Testing;

/// <summary>One golden comparison, as the parity table counts it.</summary>
/// <param name="Topic">Topic of the manifest.</param>
/// <param name="File">Golden file, as the manifest spells it.</param>
/// <param name="What">What of it was compared.</param>
/// <param name="Cases">Comparisons behind this line.</param>
/// <param name="Error">Largest error; of an exact comparison, the number of cases that differ.</param>
/// <param name="Tolerance">Largest error allowed; null where every case must be equal.</param>
public sealed record ParityLine(string Topic, string File, string What, int Cases, double Error, double? Tolerance);

/// <summary>Golden tests tell here how close they came, before they judge it. <c>tools/parity.sh</c> makes the table of it.</summary>
public static class Parity
{
    private static readonly Lock Turn = new();

    /// <summary>Names the file that gets one line of JSON per comparison; unset, nothing is written.</summary>
    private static readonly string? Log = Environment.GetEnvironmentVariable("GEMMACORE_PARITY_LOG");

    /// <summary>Tells of a comparison of numbers; returns the error, for the test to judge.</summary>
    public static double Report(string topic, string file, string what, double error, double tolerance)
    {
        Append(new ParityLine(topic, file, what, 1, error, tolerance));
        return error;
    }

    /// <summary>Tells of a comparison where every case must be equal; returns how many are not, for the test to judge.</summary>
    public static int ReportExact(string topic, string file, string what, int equal, int cases)
    {
        Append(new ParityLine(topic, file, what, cases, cases - equal, null));
        return cases - equal;
    }

    private static void Append(ParityLine line)
    {
        if (Log is null) return;
        // JSON has no infinity; a NaN or an infinite error is written as the largest number, which no tolerance admits.
        string json = JsonSerializer.Serialize(double.IsFinite(line.Error) ? line : line with { Error = double.MaxValue });
        lock (Turn) File.AppendAllText(Log, json + "\n");
    }
}
