using System.Diagnostics;
using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>One prompt on its way to an answer: its cache, its random numbers, its text so far.</summary>
internal sealed class Sequence : IDisposable
{
    private readonly HashSet<int> _stopIds;
    private readonly Sampler _sampler;
    private readonly TokenStream _stream;
    private readonly ConstraintProgress? _constraint;
    private readonly List<int> _ids;
    private readonly List<GeneratedToken> _tokens = [];
    private readonly List<float> _secondsBetween = [];
    private readonly Action<GeneratedToken>? _onToken;
    private readonly long _created = Stopwatch.GetTimestamp();
    private MeanHidden? _hidden;
    private float[]? _embedding;
    private long _started, _firstToken, _lastToken;
    private int _cachedTokens;

    public Sequence(GenerationRequest request, PromptChunks chunks, IEnumerable<int> stopIds, Tokenizer tokenizer, Action<GeneratedToken>? onToken, CancellationToken cancellation)
    {
        Request = request;
        Chunks = chunks;
        Cancellation = cancellation;
        _onToken = onToken;
        _stopIds = Parameters.IgnoreEos || request.Scoring is not null ? [.. Parameters.StopTokenIds] : [.. stopIds, .. Parameters.StopTokenIds];
        _sampler = new Sampler(Parameters);
        _stream = new TokenStream(tokenizer, Parameters.Stop);
        _ids = [.. Prompt.Ids];
        if (Parameters.Constraint is not { } constraint) return;
        if (constraint.TokenCount != tokenizer.VocabularySize) throw new InputException("the constraint was compiled for another model's vocabulary");
        _constraint = new ConstraintProgress(constraint);
    }

    public GenerationRequest Request { get; }

    public Prompt Prompt => Request.Prompt;

    /// <summary>The parts in which the prompt goes in.</summary>
    public PromptChunks Chunks { get; }

    /// <summary>True while another sequence computes the part that this one needs next.</summary>
    public bool IsHeld { get; set; }

    public SamplingParams Parameters => Request.Parameters;

    public LoraAdapter? Adapter => Request.Adapter;

    /// <summary>The adapter that its pictures are seen through; null when they are seen as by the base.</summary>
    public LoraAdapter? VisionAdapter => Adapter is { AdaptsVision: true } ? Adapter : null;

    public CancellationToken Cancellation { get; }

    /// <summary>Keys and values, from <see cref="Start"/> on and until <see cref="GiveBack"/>.</summary>
    public KvCache? Cache { get; private set; }

    /// <summary>Tokens of the prompt and of the answer so far.</summary>
    public int Length => _ids.Count;

    /// <summary>True when it had to give back its keys and values, once or more.</summary>
    public bool WasPreempted { get; private set; }

    /// <summary>[image tokens, D] of the pictures seen so far; null before, and again once they are in the cache.</summary>
    public DeviceBuffer? Features { get; set; }

    /// <summary>Pictures whose features are there.</summary>
    public int SeenPictures { get; set; }

    /// <summary>Rows of <see cref="Features"/> that are in the cache.</summary>
    public int UsedFeatures { get; set; }

    public FinishReason? Finished { get; private set; }

    /// <summary>Why there is no answer.</summary>
    public Exception? Failure { get; private set; }

    public bool IsOver => Finished is not null || Failure is not null;

    /// <summary>True once the whole prompt is in the cache.</summary>
    public bool IsDecoding => Cache is { } cache && cache.Length >= Prompt.Ids.Length;

    /// <summary>Where the next chunk of the prompt ends.</summary>
    public int ChunkEnd => Chunks.EndFrom(Cache!.Length);

    /// <summary>Tokens of the next chunk of the prompt.</summary>
    public int ChunkTokens => ChunkEnd - Cache!.Length;

    /// <summary>
    /// What goes in next: a chunk of the prompt, or one token of the answer. That is the one chosen last, or, of who had to give back its keys and values, the first of
    /// those that are missing: they go in one by one as they did before, or their last bits would be others.
    /// </summary>
    public ReadOnlySpan<int> NextIds => IsDecoding
        ? CollectionsMarshal.AsSpan(_ids).Slice(Cache!.Length, 1)
        : Prompt.Ids.AsSpan(Cache!.Length..ChunkEnd);

    /// <summary>True when a token is to be chosen once <see cref="NextIds"/> are in.</summary>
    public bool IsAnswering => Request.Embedding is null && Cache!.Length + NextIds.Length == _ids.Count;

    /// <summary>How many of the most likely tokens <see cref="TryAccept"/> needs; 0 when only <see cref="Accept"/> will do.</summary>
    public int CandidateCount(int vocabulary)
    {
        // Of a constrained answer, only the most likely token of all can tell: when it is allowed it is the most likely of the allowed ones too.
        bool needsRow = Parameters.Logprobs > 0 || Request.Scoring is not null || (_constraint is not null && (Parameters.Logprobs == 0 || Parameters.Temperature > 0));
        return needsRow ? 0 : _sampler.CandidateCount(vocabulary);
    }

    /// <summary>Takes its place among the sequences under way, for the first time or again.</summary>
    public void Start(KvCache cache)
    {
        Cache = cache;
        if (_started == 0) _started = Stopwatch.GetTimestamp();
    }

    /// <summary>Gives back its keys and values, to <see cref="Start"/> again later. What it has answered so far stays, and so do its random numbers.</summary>
    public void GiveBack()
    {
        Dispose();
        (SeenPictures, UsedFeatures, _hidden, IsHeld, WasPreempted) = (0, 0, null, false, true);
    }

    /// <summary>Takes over the next chunk of the prompt, pictures and all.</summary>
    public void TakeOver(KvSegment segment, int tokensPerImage)
    {
        for (; SeenPictures < Prompt.Images.Count && Prompt.ImageSpans[SeenPictures].Start < segment.End; SeenPictures++) UsedFeatures += tokensPerImage;
        Cache!.Append(segment);
        // Who starts again finds what it has left there itself.
        if (!WasPreempted) _cachedTokens = Cache.Length;
    }

    /// <summary>Chooses the next token from the most likely ones and reports it; false when it takes the whole row, see <see cref="Sampler.TryChoose"/>.</summary>
    public bool TryAccept(TokenCandidates candidates, int row)
    {
        ReadOnlySpan<int> ids = candidates.Ids(row);
        if (ids[0] < 0)
        {
            Fail(NotFinite());
            return true;
        }

        if (_constraint is not null && !_constraint.Allows(ids[0], _stopIds)) return false;
        if (!_sampler.TryChoose(ids, candidates.Logits(row), out int index)) return false;
        Append(ids[index], Parameters.Logprobs < 0 ? float.NaN : candidates.Logprobs(row)[index], []);
        return true;
    }

    /// <summary>Chooses the next token from its logits, which are overwritten, and reports it.</summary>
    public void Accept(Span<float> logits)
    {
        if (!SamplingFilters.AllFinite(logits))
        {
            Fail(NotFinite());
            return;
        }

        if (Request.Scoring is { } scoring)
        {
            Score(scoring, logits);
            return;
        }

        if (_constraint?.TryApply(logits, _stopIds) == false)
        {
            Fail(_constraint.Failure!);
            return;
        }

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

        int id = _sampler.Choose(logits, CollectionsMarshal.AsSpan(_ids), Prompt.Ids.Length);
        if (raw is not null) logprob = (float)(raw[id] - total);
        Append(id, logprob, top);
    }

    /// <summary>Takes the hidden states of the tokens that went in last; when they were the prompt's last, its embedding is there.</summary>
    /// <param name="rows">[T, D].</param>
    /// <param name="hiddenSize">D.</param>
    public void AddHidden(ReadOnlySpan<float> rows, int hiddenSize)
    {
        _hidden ??= new MeanHidden(hiddenSize);
        int skipped = Math.Clamp(Request.Embedding!.SkippedTokens - (Cache!.Length - rows.Length / hiddenSize), 0, rows.Length / hiddenSize);
        _hidden.Add(rows[(skipped * hiddenSize)..]);
        if (!IsDecoding) return;
        _firstToken = _lastToken = Stopwatch.GetTimestamp();
        _embedding = _hidden.Vector();
        if (_embedding is null) Fail(NotFinite());
        else Finished = FinishReason.Stop;
    }

    public void Cancel() => Finished ??= FinishReason.Cancelled;

    /// <summary>Ends without an answer.</summary>
    public void Fail(Exception error) => Failure ??= error;

    public GenerationResult Result()
    {
        long end = _lastToken == 0 ? Stopwatch.GetTimestamp() : _lastToken, first = _firstToken == 0 ? end : _firstToken, start = _started == 0 ? first : _started;
        return new GenerationResult(
            _stream.Text + _stream.Finish(), _tokens, Finished ?? FinishReason.Cancelled, Prompt.Ids.Length, Prompt.ImageTokenCount,
            Stopwatch.GetElapsedTime(start, first).TotalSeconds, Stopwatch.GetElapsedTime(first, end).TotalSeconds)
        {
            CachedTokenCount = _cachedTokens,
            Embedding = _embedding,
            SecondsBetweenTokens = _secondsBetween,
            QueueSeconds = Stopwatch.GetElapsedTime(_created, start).TotalSeconds,
        };
    }

    public void Dispose()
    {
        Cache?.Dispose();
        Features?.Dispose();
        (Cache, Features) = (null, null);
    }

    private void Append(int id, float logprob, IReadOnlyList<TokenLogprob> top)
    {
        _ids.Add(id);
        long now = Stopwatch.GetTimestamp();
        if (_firstToken == 0) _firstToken = now;
        else _secondsBetween.Add((float)Stopwatch.GetElapsedTime(_lastToken, now).TotalSeconds);
        _lastToken = now;
        string text = "";
        if (_stopIds.Contains(id)) Finished = FinishReason.Stop;
        else
        {
            text = _stream.Push(id);
            _constraint?.Advance(id);
            if (_stream.Stopped || _constraint?.IsComplete == true) Finished = FinishReason.Stop;
            else if (_tokens.Count + 1 >= Parameters.MaxTokens || Cache!.Length >= Cache.Capacity) Finished = FinishReason.Length;
        }

        if (Finished is not null) text += _stream.Finish();
        var token = new GeneratedToken(id, text, logprob, top);
        _tokens.Add(token);
        _onToken?.Invoke(token);
    }

    // The next given token, or in the end all that could come.
    private void Score(Scoring scoring, ReadOnlySpan<float> logits)
    {
        double total = SamplingFilters.LogSumExp(logits);
        if (_tokens.Count < scoring.Forced.Length)
        {
            int given = scoring.Forced[_tokens.Count];
            Append(given, (float)(logits[given] - total), []);
            return;
        }

        var candidates = new TokenLogprob[scoring.Candidates.Length];
        for (int i = 0; i < candidates.Length; i++) candidates[i] = new TokenLogprob(scoring.Candidates[i], (float)(logits[scoring.Candidates[i]] - total));
        Append(candidates[0].Id, candidates[0].Logprob, candidates);
    }

    // The logits are not finite: whatever came out would be no answer, and who asked is not to blame.
    private static CheckpointException NotFinite() =>
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
