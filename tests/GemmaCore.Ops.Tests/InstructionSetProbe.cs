using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops.Tests;

/// <summary>Shows, in the children that <see cref="InstructionSetTests"/> starts, that the variables they run under do something.</summary>
public sealed class InstructionSetProbe
{
    [Fact]
    public void Instruction_sets_that_are_switched_off_are_not_used()
    {
        if (Off("DOTNET_EnableAVX512")) Assert.False(Avx512F.IsSupported);
        if (Off("DOTNET_EnableAVX2")) Assert.False(Avx2.IsSupported);
        if (Off("DOTNET_EnableHWIntrinsic")) Assert.False(Avx.IsSupported);
    }

    private static bool Off(string variable) => Environment.GetEnvironmentVariable(variable) == "0";
}
