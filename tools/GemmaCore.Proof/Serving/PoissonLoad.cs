using System.Diagnostics;

namespace GemmaCore.Proof.Serving;

/// <summary>Requests that come at random, whether earlier ones are answered or not: what users do, and what queues come from.</summary>
/// <param name="Answers">All that were answered.</param>
internal sealed record PoissonLoad(IReadOnlyList<AnswerTimes> Answers)
{
    /// <param name="client">Who asks.</param>
    /// <param name="rate">Requests per second on average; times between them are exponentially distributed, the same in every run.</param>
    /// <param name="seconds">How long requests come.</param>
    /// <param name="shape">What they ask for.</param>
    public static async Task<PoissonLoad> RunAsync(LoadClient client, double rate, int seconds, RequestShape shape)
    {
        var random = new Random(7);
        var asked = new List<Task<AnswerTimes>>();
        long start = Stopwatch.GetTimestamp();
        for (double at = 0; at < seconds; at -= Math.Log(1 - random.NextDouble()) / rate)
        {
            TimeSpan wait = TimeSpan.FromSeconds(at) - Stopwatch.GetElapsedTime(start);
            if (wait > TimeSpan.Zero) await Task.Delay(wait).ConfigureAwait(false);
            asked.Add(client.AskAsync(shape));
        }

        return new PoissonLoad(await Task.WhenAll(asked).ConfigureAwait(false));
    }
}
