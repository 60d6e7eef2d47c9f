using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>
/// Every other test of this assembly without an instruction set. <see cref="InstructionSetProbe"/> runs in the children to prove that the switches bite.
/// </summary>
public sealed class InstructionSetTests
{
    public static TheoryData<string> Switches => [.. InstructionSets.Switches];

    [Theory]
    [MemberData(nameof(Switches))]
    public async Task Every_operation_passes_its_tests_without(string instructionSet)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("of the CPU's paths, not of a card's");
        string report = await InstructionSets.RunWithout(
            instructionSet, typeof(InstructionSetTests).Assembly, ["-class-", typeof(InstructionSetTests).FullName!], TestContext.Current.CancellationToken);
        Assert.Contains($"{instructionSet}=0", report, StringComparison.Ordinal);
    }
}
