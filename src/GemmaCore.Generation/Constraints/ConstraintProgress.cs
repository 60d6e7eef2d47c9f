using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>How far one answer has come within its <see cref="Constraint"/>.</summary>
internal sealed class ConstraintProgress(Constraint constraint)
{
    private int _state = LazyAutomaton.Start;

    /// <summary>True when the answer is whole and nothing may be added.</summary>
    public bool IsComplete => constraint.IsFinal(_state) && constraint.Accepts(_state);

    /// <summary>Why no token can come next, after <see cref="TryApply"/> said so.</summary>
    public InputException? Failure { get; private set; }

    /// <summary>True when the token may come next; false also when nothing may.</summary>
    public bool Allows(int id, HashSet<int> stopIds) =>
        Mask() is { } mask && ((id >> 6 < mask.Length && (mask[id >> 6] >> id & 1) != 0) || (stopIds.Contains(id) && constraint.Accepts(_state)));

    /// <summary>Rules out every token that may not come next; those that end the answer may where the answer may end.</summary>
    /// <returns>False when no token is left, or the constraint turns out to be too complex.</returns>
    public bool TryApply(Span<float> logits, HashSet<int> stopIds)
    {
        if (Mask() is not { } mask) return false;
        bool mayEnd = constraint.Accepts(_state), any = false;
        for (int word = 0, first = 0; first < logits.Length; word++, first += 64)
        {
            ulong allowed = word < mask.Length ? mask[word] : 0;
            if (mayEnd) allowed |= Ends(stopIds, first);
            any |= allowed != 0;
            if (allowed == ulong.MaxValue) continue;
            Span<float> values = logits.Slice(first, Math.Min(64, logits.Length - first));
            if (allowed == 0)
            {
                values.Fill(float.NegativeInfinity);
                continue;
            }

            for (int i = 0; i < values.Length; i++)
                if ((allowed >> i & 1) == 0) values[i] = float.NegativeInfinity;
        }

        if (!any) Failure = new InputException("no token of the model's vocabulary can go on with what the constraint allows");
        return any;
    }

    /// <summary>Takes a token that is allowed and does not end the answer.</summary>
    public void Advance(int id)
    {
        _state = constraint.Advance(_state, id);
        if (_state == LazyAutomaton.Dead) throw new InvalidOperationException($"token {id} was chosen, which the constraint does not allow");
    }

    private ulong[]? Mask()
    {
        try
        {
            return constraint.MaskOf(_state);
        }
        catch (InputException error) // this answer's trouble, and not that of the others in the step
        {
            Failure = error;
            return null;
        }
    }

    private static ulong Ends(HashSet<int> stopIds, int first)
    {
        ulong bits = 0;
        foreach (int id in stopIds)
            if (id >= first && id < first + 64) bits |= 1UL << id;
        return bits;
    }
}
