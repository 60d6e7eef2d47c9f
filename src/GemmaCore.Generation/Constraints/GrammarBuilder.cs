using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>Turns a <see cref="Pattern"/> into a <see cref="Grammar"/>, from its end to its start: every part is built knowing what comes after it.</summary>
internal sealed class GrammarBuilder
{
    /// <summary>Most instructions; each takes 16 bytes.</summary>
    public const int MaxInstructions = 60_000;

    private const int Never = int.MaxValue / 2, MaxNesting = 1500;

    private readonly List<Instruction> _program = [new(Op.Return, 0, 0, 0, 0)];
    private readonly Dictionary<(Pattern, int), int> _built = [];
    private readonly Dictionary<RulePattern, int> _rules = [];
    private readonly List<RulePattern> _open = [];
    private readonly List<(int Call, RulePattern Rule)> _calls = [];
    private int _nesting;

    /// <exception cref="InputException">It is too large, or there is nothing that it allows.</exception>
    public static Grammar Build(Pattern pattern)
    {
        var builder = new GrammarBuilder();
        int start = builder.Emit(pattern, 0);
        for (int i = 0; i < builder._open.Count; i++) // grows meanwhile
        {
            RulePattern rule = builder._open[i];
            builder._rules[rule] = builder.Emit(rule.Body ?? throw new InvalidOperationException($"the rule {rule.Name} has no body"), 0);
        }

        foreach ((int call, RulePattern rule) in builder._calls) builder._program[call] = builder._program[call] with { A = builder._rules[rule] };
        Instruction[] program = [.. builder._program];
        int[] heights = Heights(program);
        foreach ((_, RulePattern rule) in builder._calls)
            if (heights[builder._rules[rule]] > Grammar.MaxDepth) throw new InputException($"{rule.Name} can never be finished: it always needs another of itself, or nests more than {Grammar.MaxDepth} levels");
        return heights[start] <= Grammar.MaxDepth ? new Grammar(program, heights, start) : throw new InputException("there is no text that it allows");
    }

    private int Emit(Pattern pattern, int next)
    {
        if (pattern is not (BytePattern or SequencePattern { Parts.Count: 0 }) && _built.TryGetValue((pattern, next), out int known)) return known;
        if (++_nesting > MaxNesting) throw new InputException("it is nested too deeply");
        int entry = pattern switch
        {
            BytePattern item => Add(new Instruction(Op.Byte, item.Low, item.High, next, 0)),
            SequencePattern sequence => EmitSequence(sequence.Parts, next),
            ChoicePattern choice => EmitChoice(choice.Choices, next),
            RepeatPattern repeat => EmitRepeat(repeat, next),
            RulePattern rule => EmitCall(rule, next),
            _ => throw new InvalidOperationException(pattern.GetType().Name),
        };
        _nesting--;
        _built[(pattern, next)] = entry;
        return entry;
    }

    private int EmitSequence(IReadOnlyList<Pattern> parts, int next)
    {
        for (int i = parts.Count - 1; i >= 0; i--) next = Emit(parts[i], next);
        return next;
    }

    private int EmitChoice(IReadOnlyList<Pattern> choices, int next)
    {
        if (choices.Count == 0) return Add(new Instruction(Op.Byte, 1, 0, next, 0)); // no byte is in it
        int entry = Emit(choices[^1], next);
        for (int i = choices.Count - 2; i >= 0; i--) entry = Add(new Instruction(Op.Split, 0, 0, Emit(choices[i], next), entry));
        return entry;
    }

    private int EmitRepeat(RepeatPattern repeat, int next)
    {
        int entry = next;
        if (repeat.Most is { } most)
        {
            for (int i = repeat.Least; i < most; i++) entry = Add(new Instruction(Op.Split, 0, 0, Emit(repeat.Item, entry), next));
        }
        else
        {
            entry = Add(new Instruction(Op.Split, 0, 0, 0, next));
            _program[entry] = _program[entry] with { A = Emit(repeat.Item, entry) };
        }

        for (int i = 0; i < repeat.Least; i++) entry = Emit(repeat.Item, entry);
        return entry;
    }

    private int EmitCall(RulePattern rule, int next)
    {
        if (_rules.TryAdd(rule, -1)) _open.Add(rule);
        int call = Add(new Instruction(Op.Call, 0, 0, 0, next));
        _calls.Add((call, rule));
        return call;
    }

    private int Add(Instruction instruction)
    {
        if (_program.Count >= MaxInstructions) throw new InputException($"it is too large: its automaton needs more than {MaxInstructions} steps; shorten repetitions or lists");
        _program.Add(instruction);
        return _program.Count - 1;
    }

    // The smallest solution; a part comes after what follows it, so that few rounds are needed.
    private static int[] Heights(Instruction[] program)
    {
        int[] heights = new int[program.Length];
        Array.Fill(heights, Never, 1, heights.Length - 1);
        for (bool changed = true; changed;)
        {
            changed = false;
            for (int i = 1; i < program.Length; i++)
            {
                Instruction instruction = program[i];
                int height = instruction.Op switch
                {
                    Op.Byte => instruction.Low <= instruction.High ? heights[instruction.A] : Never,
                    Op.Split => Math.Min(heights[instruction.A], heights[instruction.B]),
                    _ => Math.Min(Never, Math.Max(heights[instruction.A] + 1, heights[instruction.B])),
                };
                if (height >= heights[i]) continue;
                heights[i] = height;
                changed = true;
            }
        }

        return heights;
    }
}
