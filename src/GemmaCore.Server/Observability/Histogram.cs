using System.Globalization;
using System.Text;

namespace GemmaCore.Server.Observability;

/// <summary>Counts of values up to limits, as Prometheus takes them.</summary>
internal sealed class Histogram(params double[] limits)
{
    private readonly Lock _lock = new();
    private readonly long[] _counts = new long[limits.Length + 1];
    private double _sum;

    public static Histogram OfSeconds() => new(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120);

    public static Histogram OfTokens() => new(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000);

    public static Histogram OfSteps() => new(1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384);

    public void Observe(double value)
    {
        int index = Array.FindIndex(limits, limit => value <= limit);
        lock (_lock)
        {
            _counts[index < 0 ? limits.Length : index]++;
            _sum += value;
        }
    }

    public void Write(StringBuilder text, string name, string labels)
    {
        lock (_lock)
        {
            long total = 0;
            for (int i = 0; i <= limits.Length; i++)
            {
                total += _counts[i];
                string limit = i < limits.Length ? limits[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
                text.Append(CultureInfo.InvariantCulture, $"{name}_bucket{{{labels},le=\"{limit}\"}} {total}\n");
            }

            text.Append(CultureInfo.InvariantCulture, $"{name}_sum{{{labels}}} {_sum}\n{name}_count{{{labels}}} {total}\n");
        }
    }
}
