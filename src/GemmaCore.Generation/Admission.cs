using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;

namespace GemmaCore.Generation;

/// <summary>
/// Who waits, who is under way, and who had to step back. A request starts when there is room for its prompt and some of its answer, not for all that it may take; when
/// those under way need more pages than there are, the one that started last gives back its own and goes on later (preemption by recomputation, arXiv:2309.06180 §4.5).
/// The one that started first never does, so somebody always gets done.
/// </summary>
internal sealed class Admission : IDisposable
{
    private readonly int _maxSequences;
    private readonly CacheRoom _room;
    private readonly FairQueue<Sequence> _waiting = new();
    private readonly List<Sequence> _running = [], _preempted = []; // who started first is the first of the one and the last of the other

    /// <param name="model">Whose keys and values.</param>
    /// <param name="limits">What may be under way.</param>
    /// <param name="giveUp">Gives up something that is only kept for later; false when there is nothing of the kind.</param>
    public Admission(LanguageModel model, BatchLimits limits, Func<bool> giveUp) => (_maxSequences, _room) = (limits.MaxSequences, new CacheRoom(model, limits, giveUp));

    /// <summary>Sequences that wait for a place, for the first time or again.</summary>
    public int WaitingCount => _waiting.Count + _preempted.Count;

    /// <summary>Tokens, prompt and answer, that those who wait may take.</summary>
    public long WaitingTokens { get; private set; }

    /// <summary>Sequences under way.</summary>
    public int RunningCount => _running.Count;

    /// <summary>See <see cref="CacheRoom.HeldBytes"/>.</summary>
    public long CacheBytes => _room.HeldBytes(_running);

    /// <summary>Pages of keys and values, taken or not.</summary>
    public int CachePages => _room.PageCount;

    /// <summary>How often a sequence had to step back.</summary>
    public long Preemptions { get; private set; }

    /// <summary>Refuses what could never be answered.</summary>
    /// <exception cref="InputException">The prompt is too long for the model, or its keys and values for the limit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A parameter makes no sense.</exception>
    public static void Check(GenerationRequest request, LanguageModel model, BatchLimits limits)
    {
        request.Parameters.Validate();
        int positions = model.Layout.MaxPositions, length = request.Prompt.Ids.Length;
        if (length == 0) throw new InputException("the prompt has no tokens");
        if (length >= positions)
            throw new InputException($"the prompt has {length} tokens, but the model has {positions} positions and needs one for the answer");
        CacheRoom.Check(request, model, limits);
    }

    /// <summary>Puts a sequence into the queue.</summary>
    public void Add(Sequence sequence)
    {
        _waiting.Add(sequence.Request.Tenant, sequence, sequence.Request.TokenCount);
        WaitingTokens += sequence.Request.TokenCount;
        _room.Expect(sequence.Request);
    }

    /// <summary>Starts the next one that waits, if there is room; null if not. Who had to step back comes before who has not started yet.</summary>
    /// <param name="onFailure">Called for a sequence for which there is no memory: its own trouble and not that of those under way.</param>
    public Sequence? Admit(Action<Sequence, Exception> onFailure)
    {
        while (_running.Count < _maxSequences && (_preempted.Count > 0 ? _preempted[^1] : _waiting.Peek()) is { } next)
        {
            bool isGone = false;
            try
            {
                if (!_room.HasRoom(next, _running)) return null;
                isGone = true;
                Take(next);
                next.Start(_room.NewCache(next.Request));
            }
            catch (Exception error)
            {
                if (!isGone) Take(next);
                onFailure(next, error);
                continue;
            }

            _running.Add(next);
            return next;
        }

        return null;
    }

    /// <summary>Makes the sequence step back that started last, if a pass does not find its pages otherwise.</summary>
    /// <param name="pass">Whose next tokens are to go in.</param>
    /// <returns>Who stepped back, in <paramref name="pass"/> or not; null when the pages are there.</returns>
    public Sequence? Preempt(IReadOnlyList<Sequence> pass)
    {
        if (_room.HasPages(pass)) return null;
        // The first of all has room when it is alone, which was asked when it came.
        if (_running.Count < 2) throw new InvalidOperationException($"{CachePages} pages of keys and values are too few for one sequence");
        Sequence last = _running[^1];
        _running.RemoveAt(_running.Count - 1);
        last.GiveBack();
        _preempted.Add(last);
        WaitingTokens += last.Request.TokenCount;
        Preemptions++;
        return last;
    }

    /// <summary>A sequence under way is over.</summary>
    public void Leave(Sequence sequence) => _running.Remove(sequence);

    /// <summary>Takes those out of the queue that <paramref name="match"/>, and hands each to <paramref name="removed"/>.</summary>
    public void Remove(Predicate<Sequence> match, Action<Sequence> removed)
    {
        _waiting.Remove(match, sequence =>
        {
            NoLongerWaits(sequence);
            _room.ExpectNoMore(sequence.Request);
            removed(sequence);
        });
        for (int i = _preempted.Count - 1; i >= 0; i--)
        {
            Sequence sequence = _preempted[i];
            if (!match(sequence)) continue;
            _preempted.RemoveAt(i);
            NoLongerWaits(sequence);
            removed(sequence);
        }
    }

    /// <summary>True when a sequence waits or is under way with this adapter.</summary>
    public bool Uses(LoraAdapter adapter)
    {
        bool waits = false;
        _waiting.Remove(
            sequence =>
            {
                waits |= sequence.Adapter == adapter;
                return false;
            },
            _ => { });
        return waits || _preempted.Exists(sequence => sequence.Adapter == adapter) || _running.Exists(sequence => sequence.Adapter == adapter);
    }

    /// <summary>See <see cref="CacheRoom.Release"/>.</summary>
    public void ReleaseMemory() => _room.Release();

    /// <inheritdoc/>
    public void Dispose() => _room.Dispose();

    private void Take(Sequence next)
    {
        NoLongerWaits(next);
        if (next.WasPreempted)
        {
            _preempted.RemoveAt(_preempted.Count - 1);
            return;
        }

        _waiting.Take();
        _room.ExpectNoMore(next.Request);
    }

    private void NoLongerWaits(Sequence sequence) => WaitingTokens -= sequence.Request.TokenCount;
}
