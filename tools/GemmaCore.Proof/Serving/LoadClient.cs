using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace GemmaCore.Proof.Serving;

/// <summary>What is asked for.</summary>
/// <param name="PromptTokens">Random ids.</param>
/// <param name="AnswerTokens">Exactly so many.</param>
internal sealed record RequestShape(int PromptTokens, int AnswerTokens);

/// <summary>When the tokens of an answer came, in milliseconds from the request.</summary>
/// <param name="FirstToken">To the first event with text.</param>
/// <param name="Gaps">Between events, which are tokens but for those that end inside a character.</param>
/// <param name="Whole">To the end.</param>
internal sealed record AnswerTimes(double FirstToken, IReadOnlyList<double> Gaps, double Whole);

/// <summary>Asks a server for completions as a stream of events and notes when they come.</summary>
internal sealed class LoadClient(string url, int vocabulary) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 1024 }) { BaseAddress = new Uri(url), Timeout = TimeSpan.FromMinutes(30) };
    private int _requests;

    public void Dispose() => _http.Dispose();

    public async Task<AnswerTimes> AskAsync(RequestShape shape)
    {
        var random = new Random(Interlocked.Increment(ref _requests));
        // Ordinary ids only: marks and bytes are the first thousand in every Gemma tokenizer and the last ones; the embedded one is smaller.
        int low = Math.Min(1000, vocabulary / 4);
        string body = JsonSerializer.Serialize(new
        {
            prompt = Enumerable.Range(0, shape.PromptTokens).Select(_ => random.Next(low, Math.Min(vocabulary * 3 / 4, 200_000))).ToArray(),
            max_tokens = shape.AnswerTokens,
            temperature = 0,
            ignore_eos = true,
            stream = true,
        });
        return await StreamAsync("/v1/completions", body).ConfigureAwait(false);
    }

    /// <summary>Milliseconds to the first token of an answer about a picture.</summary>
    public async Task<double> AskAboutPictureAsync(string file, string question)
    {
        string url = $"data:image/jpeg;base64,{Convert.ToBase64String(await File.ReadAllBytesAsync(file).ConfigureAwait(false))}";
        object[] content = [new { type = "image_url", image_url = new { url } }, new { type = "text", text = question }];
        string body = JsonSerializer.Serialize(new { messages = new[] { new { role = "user", content } }, max_tokens = 1, temperature = 0, stream = true });
        return (await StreamAsync("/v1/chat/completions", body).ConfigureAwait(false)).Whole;
    }

    private async Task<AnswerTimes> StreamAsync(string path, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        long start = Stopwatch.GetTimestamp();
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode) throw new InvalidOperationException($"proof serve: {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync().ConfigureAwait(false)}");
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync().ConfigureAwait(false));
        var times = new List<double>();
        while (await reader.ReadLineAsync().ConfigureAwait(false) is { } line)
            if (line.StartsWith("data: {", StringComparison.Ordinal)) times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        return new AnswerTimes(times[0], [.. times.Skip(1).Zip(times, (later, earlier) => later - earlier)], times[^1]);
    }
}
