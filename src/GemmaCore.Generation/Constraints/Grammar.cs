namespace GemmaCore.Generation.Constraints;

/// <summary>What an instruction of a <see cref="Grammar"/> does.</summary>
internal enum Op : byte
{
    /// <summary>The end of a rule, or of everything.</summary>
    Return,

    /// <summary>Takes a byte from Low to High and goes on at A.</summary>
    Byte,

    /// <summary>Goes on at A and at B.</summary>
    Split,

    /// <summary>Goes on at A, and when that rule returns, at B.</summary>
    Call,
}

/// <summary>One instruction.</summary>
internal readonly record struct Instruction(Op Op, byte Low, byte High, int A, int B);

/// <summary>
/// A pushdown automaton as a program (Thompson's construction, with calls): instruction 0 is the only <see cref="Op.Return"/>. Heights say how many calls deep
/// it must still go before an instruction's rule can end, so that a limit of depth never leads into a dead end.
/// </summary>
internal sealed class Grammar(Instruction[] program, int[] heights, int start)
{
    /// <summary>Calls inside each other.</summary>
    public const int MaxDepth = 32;

    public ReadOnlySpan<Instruction> Program => program;

    public ReadOnlySpan<int> Heights => heights;

    public int Start => start;

    /// <summary>Bytes that no instruction tells apart have one class; a space has a class of its own.</summary>
    public (byte[] ClassOf, byte[] Representatives) ByteClasses()
    {
        Span<bool> begins = stackalloc bool[257];
        begins[0] = begins[' '] = begins[' ' + 1] = true;
        foreach (Instruction instruction in program)
            if (instruction.Op == Op.Byte) begins[instruction.Low] = begins[instruction.High + 1] = true;
        byte[] classes = new byte[256];
        var representatives = new List<byte>();
        for (int value = 0; value < 256; value++)
        {
            if (begins[value]) representatives.Add((byte)value);
            classes[value] = (byte)(representatives.Count - 1);
        }

        return (classes, [.. representatives]);
    }
}
