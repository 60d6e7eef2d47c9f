namespace GemmaCore.Ops;

/// <summary>A number the compiler knows, to specialise generic code by.</summary>
internal interface ICount
{
    static abstract int Value { get; }
}

internal readonly struct One : ICount
{
    public static int Value => 1;
}

internal readonly struct Two : ICount
{
    public static int Value => 2;
}

internal readonly struct Rows2 : ICount
{
    public static int Value => 2;
}

internal readonly struct Rows4 : ICount
{
    public static int Value => 4;
}

internal readonly struct Rows6 : ICount
{
    public static int Value => 6;
}

internal readonly struct Rows8 : ICount
{
    public static int Value => 8;
}

internal readonly struct Rows12 : ICount
{
    public static int Value => 12;
}
