using System.Runtime.InteropServices;
using GemmaCore.Inputs;
using GemmaCore.Models;

namespace GemmaCore.Generation;

/// <summary>One prompt on its way to an answer: its cache, its random numbers, its text so far.</summary>
internal sealed class Sequence : IDisposable
{
    private readonly HashSet<int> _stopIds;
    private readonly Sampler _sampler;
    private readonly TokenStream _stream;
    private readonly List<int> _ids;
    private readonly List<GeneratedToken> _tokens = [];

    public Sequence(Prompt prompt, SamplingParams parameters, IEnumerable<int> stopIds, Tokenizer tokenizer, KvCache cache)
    {
        Prompt = prompt;
        Parameters = parameters;
        Cache = cache;
        _stopIds = parameters.IgnoreEos ? [.. parameters.StopTokenIds] : [.. stopIds, .. parameters.StopTokenIds];
        _sampler = new Sampler(parameters);
        _stream = new TokenStream(tokenizer, parameters.Stop);
        _ids = [.. prompt.Ids];
    }

    public Prompt Prompt { get; }

    public SamplingParams Parameters { get; }

    public KvCache Cache { get; }

    public FinishReason? Finished { get; private set; }

    public int LastId => _ids[^1];

    public double PrefillSeconds { get; set; }

    public double DecodeSeconds { get; set; }

    /// <summary>How many of the most likely tokens <see cref="TryAccept"/> needs; 0 when only <see cref="Accept"/> will do.</summary>
    public int CandidateCount(int vocabulary) => Parameters.Logprobs > 0 ? 0 : _sampler.CandidateCount(vocabulary);

    /// <summary>Chooses the next token from the most likely ones and reports it; false when it takes the whole row, see <see cref="Sampler.TryChoose"/>.</summary>
    /// <exception cref="InputException">The logits are not finite: whatever came out would be no answer.</exception>
    public bool TryAccept(TokenCandidates candidates, int row, out GeneratedToken token)
    {
        token = default!;
        ReadOnlySpan<int> ids = candidates.Ids(row);
        if (ids[0] < 0) throw NotFinite();
        if (!_sampler.TryChoose(ids, candidates.Logits(row), out int index)) return false;
        token = Append(ids[index], Parameters.Logprobs < 0 ? float.NaN : candidates.Logprobs(row)[index], []);
        return true;
    }

    /// <summary>Chooses the next token from its logits, which are overwritten, and reports it.</summary>
    /// <exception cref="InputException">The logits are not finite: whatever came out would be no answer.</exception>
    public GeneratedToken Accept(Span<float> logits)
    {
        if (!SamplingFilters.AllFinite(logits)) throw NotFinite();
        float logprob = float.NaN;
        IReadOnlyList<TokenLogprob> top = [];
        double total = 0;
        float[]? raw = null;
        if (Parameters.Logprobs >= 0)
        {
            raw = logits.ToArray();
            total = SamplingFilters.LogSumExp(raw);
            top = Best(raw, total, Parameters.Logprobs);
        }

        int id = _sampler.Choose(logits, CollectionsMarshal.AsSpan(_ids));
        if (raw is not null) logprob = (float)(raw[id] - total);
        return Append(id, logprob, top);
    }

    public void Cancel() => Finished ??= FinishReason.Cancelled;

    public GenerationResult Result() => new(
        _stream.Text + _stream.Finish(), _tokens, Finished ?? FinishReason.Cancelled, Prompt.Ids.Length, Prompt.ImageTokenCount, PrefillSeconds, DecodeSeconds);

    public void Dispose() => Cache.Dispose();

    private GeneratedToken Append(int id, float logprob, IReadOnlyList<TokenLogprob> top)
    {
        _ids.Add(id);
        string text = "";
        if (_stopIds.Contains(id)) Finished = FinishReason.Stop;
        else
        {
            text = _stream.Push(id);
            if (_stream.Stopped) Finished = FinishReason.Stop;
            else if (_tokens.Count + 1 >= Parameters.MaxTokens || Cache.Length >= Cache.Capacity) Finished = FinishReason.Length;
        }

        if (Finished is not null) text += _stream.Finish();
        var token = new GeneratedToken(id, text, logprob, top);
        _tokens.Add(token);
        return token;
    }

    private static InputException NotFinite() =>
        new("the model's logits are not finite, so its weights or an adapter hold NaN, infinity or huge values; gemmacore info MODEL --check looks for them");

    private static TokenLogprob[] Best(float[] logits, double total, int count)
    {
        if (count == 0) return [];
        float[] kept = [.. logits];
        SamplingFilters.TopK(kept, count);
        int candidates = SamplingFilters.Candidates(kept, out float[] keys, out int[] ids);
        Array.Sort(keys, ids, 0, candidates);
        var best = new TokenLogprob[Math.Min(count, candidates)];
        for (int i = 0; i < best.Length; i++)
            best[i] = new TokenLogprob(ids[candidates - 1 - i], (float)(keys[candidates - 1 - i] - total));
        SamplingFilters.Return(keys, ids);
        return best;
    }
}
