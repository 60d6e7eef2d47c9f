using System.Diagnostics;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>
/// Continuous batching: sequences join and leave between steps. A step takes in who waits, sees pictures, prefills a bounded number of prompt tokens and
/// gives every sequence whose prompt is in one more token, never two: so a step is as long as whoever leaves has to wait.
/// </summary>
/// <remarks>
/// An answer does not depend on what else is under way, bit for bit. Products of up to eight rows and of more sum in different orders, but neither order
/// depends on the number of rows beyond that (on cards, for more than eight rows, it does). So chunks of a prompt are cut by the prompt alone, chunks of more
/// than eight tokens go in passes of their own kind (on cards one at a time), and tokens that decode go in passes of at most eight, unless
/// <see cref="BatchLimits.DecodeRows"/> allows more. Not thread-safe.
/// </remarks>
internal sealed class BatchScheduler : IDisposable
{
    /// <summary>Most rows of a pass whose products take the way for few rows (<c>RowDots</c>, <c>matmul_rows.cu</c>).</summary>
    public const int FewRows = 8;

    private readonly LanguageModel _model;
    private readonly Tokenizer _tokenizer;
    private readonly int[] _stopIds;
    private readonly BatchLimits _limits;
    private readonly Admission _admission;
    private readonly ModelPass _pass;
    private readonly Action<Sequence> _onEnd;
    private readonly List<Sequence> _prefilling = [], _decoding = [], _group = [];
    private readonly PrefixSharing? _prefixes;
    private readonly List<int> _starts = [];
    private readonly bool _packsChunks;

    /// <param name="model">The model; used by one scheduler at a time.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="stopIds">Ids that end an answer.</param>
    /// <param name="limits">What it may take.</param>
    /// <param name="onEnd">Called once for every sequence, when it is over and has given back its memory.</param>
    public BatchScheduler(LanguageModel model, Tokenizer tokenizer, IReadOnlyCollection<int> stopIds, BatchLimits limits, Action<Sequence> onEnd)
    {
        (_model, _tokenizer, _stopIds, _limits, _onEnd) = (model, tokenizer, [.. stopIds], limits, onEnd);
        _pass = new ModelPass(model);
        if (limits.KeepsPrefixes) _prefixes = new PrefixSharing(model);
        _packsChunks = model.Device is CpuDevice;
        _admission = new Admission(model, limits, () => _prefixes?.ForgetOldest() == true);
    }

    public int WaitingCount => _admission.WaitingCount;

    public long WaitingTokens => _admission.WaitingTokens;

    public int RunningCount => _admission.RunningCount;

    public long CacheBytes => _admission.CacheBytes;

    public int CachePages => _admission.CachePages;

    public long Preemptions => _admission.Preemptions;

    /// <summary>Bytes of keys and values kept for prompts to come; somebody under way may have some of them too.</summary>
    public long PrefixBytes => _prefixes?.Bytes ?? 0;

    /// <summary>Time in the model, of all the time in <see cref="Step"/>: in <see cref="Stopwatch"/> ticks.</summary>
    public long PassTicks { get; private set; }

    /// <summary>Tokens that the last step put through the model, of prompts and of answers.</summary>
    public int StepTokens { get; private set; }

    /// <summary>Tokens of all answers so far; those of labels that were scored are nobody's.</summary>
    public long AnswerTokens { get; private set; }

    /// <summary>Tokens of the prompts under way or answered that could have been there already.</summary>
    public long PrefixQueries { get; private set; }

    /// <summary>Tokens of them that were.</summary>
    public long PrefixHits => _prefixes?.Hits ?? 0;

    /// <summary>Cuts a prompt into the parts in which it goes in; from any thread, and better not from the one that computes.</summary>
    public PromptChunks Cut(GenerationRequest request) =>
        // An embedding needs the hidden states of all tokens, so it neither takes over what is kept nor leaves anything.
        _prefixes is null || request.Embedding is not null ? PromptChunks.Of(request, _model.ImageTokenId) : PromptChunks.WithKeys(request, _model.ImageTokenId);

    /// <summary>Puts a request into the queue.</summary>
    /// <exception cref="InputException">See <see cref="Admission.Check"/>.</exception>
    public Sequence Add(GenerationRequest request, Action<GeneratedToken>? onToken, CancellationToken cancellation) => Add(request, Cut(request), onToken, cancellation);

    /// <summary>Puts a request into the queue whose prompt is cut already.</summary>
    /// <exception cref="InputException">See <see cref="Admission.Check"/>.</exception>
    public Sequence Add(GenerationRequest request, PromptChunks chunks, Action<GeneratedToken>? onToken, CancellationToken cancellation)
    {
        Admission.Check(request, _model, _limits);
        var sequence = new Sequence(request, chunks, _stopIds, _tokenizer, onToken, cancellation);
        _admission.Add(sequence);
        return sequence;
    }

    /// <summary>One step of everything under way.</summary>
    /// <returns>False when there was nothing to do.</returns>
    public bool Step()
    {
        StepTokens = 0;
        RetireCancelled();
        Admit();
        if (RunningCount == 0) return false;
        _prefixes?.TakeOver(_prefilling);
        SeePictures();
        Decode();
        Prefill();
        return true;
    }

    /// <summary>Ends everything that waits or is under way.</summary>
    /// <param name="error">Why there are no answers; null when all were cancelled.</param>
    public void Abandon(Exception? error)
    {
        foreach (Sequence sequence in (Sequence[])[.. _prefilling, .. _decoding]) End(sequence, error);
        _prefilling.Clear();
        _decoding.Clear();
        _admission.Remove(_ => true, sequence => Close(sequence, error));
    }

    public bool Uses(LoraAdapter adapter) => _admission.Uses(adapter);

    /// <summary>Gives up what an adapter has computed of prompts, before it goes.</summary>
    public void Forget(LoraAdapter adapter) => _prefixes?.Forget(adapter);

    /// <summary>Gives up all that is kept: what the model computes may be something else from now on.</summary>
    public void ForgetPrefixes() => _prefixes?.ForgetAll();

    /// <summary>See <see cref="CacheRoom.Release"/>.</summary>
    public void ReleaseMemory() => _admission.ReleaseMemory();

    /// <inheritdoc/>
    public void Dispose()
    {
        Abandon(null);
        _prefixes?.Dispose();
        _admission.Dispose();
        _pass.Dispose();
    }

    private void RetireCancelled()
    {
        _admission.Remove(static sequence => sequence.Cancellation.IsCancellationRequested, sequence => Close(sequence, null));
        foreach (List<Sequence> list in (ReadOnlySpan<List<Sequence>>)[_prefilling, _decoding])
            for (int i = list.Count - 1; i >= 0; i--)
                if (list[i].Cancellation.IsCancellationRequested) list[i].Cancel();
        RemoveEnded();
    }

    private void Admit()
    {
        while (_admission.Admit(Close) is { } next)
        {
            if (!next.WasPreempted) PrefixQueries += next.Prompt.Ids.Length;
            _prefilling.Add(next);
        }
    }

    // For the next pass, or the next few, of the group; whoever steps back for it leaves the group.
    private void FindPages()
    {
        while (_admission.Preempt(_group) is { } last)
            foreach (List<Sequence> list in (ReadOnlySpan<List<Sequence>>)[_prefilling, _decoding, _group]) list.Remove(last);
    }

    // At most one pass of the vision tower, so that those who decode wait for no more than that.
    private void SeePictures()
    {
        _group.Clear();
        foreach (Sequence sequence in _prefilling)
            if (!sequence.IsHeld && sequence.SeenPictures < sequence.Prompt.Images.Count && (_group.Count == 0 || sequence.VisionAdapter == _group[0].VisionAdapter)) _group.Add(sequence);
        if (_group.Count == 0) return;
        long start = Stopwatch.GetTimestamp();
        _pass.See(_group, _packsChunks ? ImageEncoding.PicturesPerPass(_model) : 1);
        PassTicks += Stopwatch.GetTimestamp() - start;
    }

    // Chunks of more than a few tokens, up to the limit of a step. Who has more of them to come goes to the end of the line.
    private void Prefill()
    {
        for (int tokens = 0, taken = 1; taken > 0 && tokens < _limits.PrefillTokens; tokens += taken)
        {
            taken = GatherChunks(_limits.PrefillTokens - tokens, isFirst: tokens == 0);
            FindPages();
            if (_group.Count == 0) return;
            foreach (Sequence sequence in _group) _prefilling.Remove(sequence);
            _prefilling.AddRange(_group); // before the pass, so that a failing one loses nobody
            RunGroup(repeatKey: 0);
            MoveOn();
        }
    }

    // The first of a step is taken whatever its size.
    private int GatherChunks(int room, bool isFirst)
    {
        _group.Clear();
        int tokens = 0;
        foreach (Sequence sequence in _prefilling)
        {
            int count = IsReady(sequence) ? sequence.ChunkTokens : 0;
            if (count <= FewRows || (tokens + count > room && !(isFirst && tokens == 0))) continue;
            tokens += count;
            // Those with one adapter side by side.
            _group.Insert(PlaceBeside(_group, sequence), sequence);
            if (!_packsChunks) break;
        }

        return tokens;
    }

    // Passes of a few rows each: everyone who decodes, and the ends of prompts that are that short.
    private void Decode()
    {
        _group.Clear();
        foreach (Sequence sequence in _decoding) _group.Add(sequence);
        foreach (Sequence sequence in _prefilling)
            if (IsReady(sequence) && sequence.ChunkTokens <= FewRows) _group.Add(sequence);
        FindPages();
        int at = 0, key = 0, next = 0;
        while (at < _decoding.Count || next < _prefilling.Count)
        {
            _group.Clear();
            int rows = 0;
            for (; at < _decoding.Count && rows < _limits.DecodeRows; rows++) _group.Add(_decoding[at++]);
            for (; at == _decoding.Count && next < _prefilling.Count; next++)
            {
                Sequence sequence = _prefilling[next];
                int count = IsReady(sequence) ? sequence.ChunkTokens : int.MaxValue;
                if (count > FewRows) continue;
                if (rows + count > FewRows) break;
                rows += count;
                _group.Insert(PlaceBeside(_group, sequence), sequence);
            }

            if (_group.Count == 0) break;
            // The pass after this many others, with this many sequences: likely the same work as in the last step.
            RunGroup(_group.TrueForAll(static sequence => sequence.IsDecoding) ? (++key << 16) + _group.Count : 0);
        }

        MoveOn();
    }

    private void RunGroup(int repeatKey)
    {
        _starts.Clear();
        foreach (Sequence sequence in _group)
        {
            _starts.Add(sequence.Cache!.Length);
            StepTokens += sequence.NextIds.Length;
        }

        long answered = AnsweredTokens(), start = Stopwatch.GetTimestamp();
        _pass.Run(_group, repeatKey);
        PassTicks += Stopwatch.GetTimestamp() - start;
        AnswerTokens += AnsweredTokens() - answered;
        for (int i = 0; i < _group.Count; i++)
            if (_starts[i] < _group[i].Prompt.Ids.Length) _prefixes?.Keep(_group[i], _starts[i]);
    }

    private long AnsweredTokens()
    {
        long tokens = 0;
        foreach (Sequence sequence in _group)
            if (!sequence.Request.IsScoring) tokens += sequence.Length;
        return tokens;
    }

    private static int PlaceBeside(List<Sequence> list, Sequence sequence)
    {
        int last = list.FindLastIndex(other => other.Adapter == sequence.Adapter);
        return last < 0 ? list.Count : last + 1;
    }

    private static bool IsReady(Sequence sequence) => !sequence.IsOver && !sequence.IsHeld && sequence.SeenPictures == sequence.Prompt.Images.Count;

    // Whoever's prompt is in joins those who decode, beside those with the same adapter.
    private void MoveOn()
    {
        RemoveEnded();
        for (int i = 0; i < _prefilling.Count; i++)
        {
            Sequence sequence = _prefilling[i];
            if (!sequence.IsDecoding) continue;
            _prefilling.RemoveAt(i--);
            _decoding.Insert(PlaceBeside(_decoding, sequence), sequence);
        }
    }

    private void RemoveEnded()
    {
        foreach (List<Sequence> list in (ReadOnlySpan<List<Sequence>>)[_prefilling, _decoding])
        {
            for (int i = 0; i < list.Count; i++)
            {
                Sequence sequence = list[i];
                if (!sequence.IsOver) continue;
                list.RemoveAt(i--);
                End(sequence, sequence.Failure);
            }
        }
    }

    private void End(Sequence sequence, Exception? error)
    {
        _admission.Leave(sequence);
        Close(sequence, error);
    }

    private void Close(Sequence sequence, Exception? error)
    {
        if (error is null) sequence.Cancel();
        else sequence.Fail(error);
        sequence.Dispose();
        _onEnd(sequence);
    }
}
