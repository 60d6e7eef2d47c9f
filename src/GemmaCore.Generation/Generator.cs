using System.Diagnostics;
using System.Runtime.InteropServices;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>
/// Answers a set of prompts together: prompts are packed into prefill passes, then all unfinished sequences advance one token per pass.
/// Nothing is padded, so lengths may differ freely.
/// </summary>
public sealed class Generator : IDisposable
{
    /// <summary>Tokens of one prefill pass: enough to keep the matrix units busy, few enough to bound activation memory.</summary>
    private const int PrefillTokens = 1024;

    /// <summary>Rows of logits computed together: the head is read once for all of them.</summary>
    private const int LogitRows = 16;

    private readonly LanguageModel _model;
    private readonly Tokenizer _tokenizer;
    private readonly int[] _stopIds;
    private readonly Arena _arena;
    private readonly TokenBatch _batch = new();
    private readonly List<int> _advancing = [];
    private readonly TokenCandidates _candidates = new();
    private float[] _logits = [];

    /// <summary>A generator over a loaded model.</summary>
    /// <param name="model">The model; used by one generator at a time.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="stopIds">Ids that end an answer.</param>
    public Generator(LanguageModel model, Tokenizer tokenizer, IReadOnlyCollection<int> stopIds)
    {
        ArgumentNullException.ThrowIfNull(model);
        _model = model;
        _tokenizer = tokenizer;
        _stopIds = [.. stopIds];
        _arena = new Arena(model.Device);
    }

    /// <summary>Answers every prompt.</summary>
    /// <param name="prompts">Prompts and how to answer each.</param>
    /// <param name="onToken">Called with the prompt's index for every token as it comes; may be null.</param>
    /// <param name="cancellation">Ends all unfinished answers after the present token.</param>
    /// <exception cref="InputException">A prompt does not fit the model's positions.</exception>
    public IReadOnlyList<GenerationResult> Generate(
        IReadOnlyList<(Prompt Prompt, SamplingParams Parameters)> prompts, Action<int, GeneratedToken>? onToken, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        var sequences = new List<Sequence>(prompts.Count);
        try
        {
            foreach ((Prompt prompt, SamplingParams parameters) in prompts) sequences.Add(Open(prompt, parameters));
            for (int first = 0; first < sequences.Count && !cancellation.IsCancellationRequested;)
            {
                int end = first + 1, tokens = sequences[first].Prompt.Ids.Length;
                while (end < sequences.Count && tokens + sequences[end].Prompt.Ids.Length <= PrefillTokens) tokens += sequences[end++].Prompt.Ids.Length;
                Prefill(sequences, first, end, onToken);
                first = end;
            }

            long start = Stopwatch.GetTimestamp();
            while (!cancellation.IsCancellationRequested && DecodeOne(sequences, onToken, start))
            {
            }

            foreach (Sequence sequence in sequences) sequence.Cancel();
            return [.. sequences.Select(sequence => sequence.Result())];
        }
        finally
        {
            foreach (Sequence sequence in sequences) sequence.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _arena.Dispose();

    private Sequence Open(Prompt prompt, SamplingParams parameters)
    {
        parameters.Validate();
        int positions = _model.Layout.MaxPositions;
        if (prompt.Ids.Length >= positions)
            throw new InputException($"the prompt has {prompt.Ids.Length} tokens, but the model has {positions} positions and needs one for the answer");
        int capacity = (int)Math.Min(positions, (long)prompt.Ids.Length + parameters.MaxTokens);
        return new Sequence(prompt, parameters, _stopIds, _tokenizer, _model.CreateCache(capacity));
    }

    private void Prefill(List<Sequence> sequences, int first, int end, Action<int, GeneratedToken>? onToken)
    {
        long start = Stopwatch.GetTimestamp();
        _arena.Reset();
        List<float[]> pixels = [.. sequences.GetRange(first, end - first).SelectMany(sequence => sequence.Prompt.Images).Select(image => image.Values)];
        TensorView features = ImageEncoding.Encode(_model, pixels, _arena);
        if (end - first == 1) PrefillChunks(sequences[first], features);
        _batch.Clear();
        _advancing.Clear();
        for (int i = first; i < end; i++)
        {
            ReadOnlySpan<int> ids = sequences[i].Prompt.Ids;
            _batch.Add(ids[sequences[i].Cache.Length..], _model.ImageTokenId, sequences[i].Cache);
            _advancing.Add(i);
        }

        int images = _batch.ImageRows.Length;
        if (images > 0) _batch.ImageFeatures = features.Slice(features.Shape[0] - images, images);
        Advance(sequences, onToken);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        for (int i = first; i < end; i++) sequences[i].PrefillSeconds = seconds;
    }

    // All but the last chunk of a long prompt: they fill the cache, their hidden states are not needed.
    private void PrefillChunks(Sequence sequence, TensorView features)
    {
        int[] ids = sequence.Prompt.Ids;
        int usedFeatures = 0;
        Arena.Mark mark = _arena.Position;
        for (int end = ChunkEnd(ids, 0); end < ids.Length; end = ChunkEnd(ids, end))
        {
            _batch.Clear();
            _batch.Add(ids.AsSpan(sequence.Cache.Length..end), _model.ImageTokenId, sequence.Cache);
            int images = _batch.ImageRows.Length;
            if (images > 0) _batch.ImageFeatures = features.Slice(usedFeatures, images);
            usedFeatures += images;
            _model.Forward(_batch, _arena, null);
            _arena.Rewind(mark);
        }
    }

    // A chunk never ends inside an image: its tokens see each other both ways.
    private int ChunkEnd(int[] ids, int start)
    {
        int end = Math.Min(ids.Length, start + PrefillTokens);
        while (end < ids.Length && ids[end] == _model.ImageTokenId && ids[end - 1] == _model.ImageTokenId) end++;
        return end;
    }

    private bool DecodeOne(List<Sequence> sequences, Action<int, GeneratedToken>? onToken, long start)
    {
        _arena.Reset();
        _batch.Clear();
        _advancing.Clear();
        for (int i = 0; i < sequences.Count; i++)
        {
            if (sequences[i].Finished is not null) continue;
            int id = sequences[i].LastId;
            // The id goes in as ordinary text even if the model produced the image id: it has no features.
            _batch.Add(new ReadOnlySpan<int>(ref id), -1, sequences[i].Cache);
            _advancing.Add(i);
        }

        if (_advancing.Count == 0) return false;
        _model.Device.BeginRepeatable(_advancing.Count);
        Advance(sequences, onToken);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        foreach (int i in _advancing) sequences[i].DecodeSeconds = seconds;
        return true;
    }

    // One pass over the batch, then the next token of each of its sequences from the hidden state of its last row.
    private void Advance(List<Sequence> sequences, Action<int, GeneratedToken>? onToken)
    {
        TensorView hidden = _model.Forward(_batch, _arena, null);
        int d = hidden.Shape[1], vocabulary = _model.Layout.VocabularySize;
        for (int first = 0; first < _advancing.Count; first += LogitRows)
        {
            int count = Math.Min(LogitRows, _advancing.Count - first);
            Arena.Mark mark = _arena.Position;
            TensorView last = _arena.Take(new Shape(count, d)), logits = _arena.Take(new Shape(count, vocabulary));
            for (int i = 0; i < count; i++)
            {
                TokenBatch.Sequence rows = _batch.Sequences[first + i];
                _model.Device.Copy(hidden.Slice(rows.FirstRow + rows.RowCount - 1, 1), last.Slice(i, 1));
            }

            _model.Logits(last, logits);
            ReadCandidates(sequences, first, count, logits);
            for (int i = 0; i < count; i++)
            {
                int index = _advancing[first + i];
                GeneratedToken token = Accept(sequences[index], logits, i);
                onToken?.Invoke(index, token);
            }

            _arena.Rewind(mark);
        }
    }

    // One question to the device for all rows: as many candidates as the most demanding sequence needs.
    private void ReadCandidates(List<Sequence> sequences, int first, int count, TensorView logits)
    {
        int candidates = 0;
        bool logprobs = false;
        for (int i = 0; i < count; i++)
        {
            Sequence sequence = sequences[_advancing[first + i]];
            int needed = sequence.CandidateCount(logits.Shape[1]);
            candidates = Math.Max(candidates, needed);
            logprobs |= needed > 0 && sequence.Parameters.Logprobs >= 0;
        }

        if (candidates > 0) _candidates.Read(logits, candidates, logprobs, _arena);
    }

    private GeneratedToken Accept(Sequence sequence, TensorView logits, int row)
    {
        int vocabulary = logits.Shape[1];
        if (sequence.CandidateCount(vocabulary) > 0 && sequence.TryAccept(_candidates, row, out GeneratedToken token)) return token;
        if (_logits.Length < vocabulary) _logits = new float[vocabulary];
        Span<float> values = _logits.AsSpan(0, vocabulary);
        _model.Device.CopyToHost(logits.Slice(row, 1), MemoryMarshal.AsBytes(values));
        return sequence.Accept(values);
    }
}
